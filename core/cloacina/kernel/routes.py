"""The executors of a runner, and which of them runs what.

A runner whose routing sends a task to a built-in executor that cannot run it does not know how to
run that workflow: it refuses to submit it, and leaves it to others.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cloacina.errors import WrongExecutorError
from cloacina.executors.routing import BUILT_IN, LOOP, THREAD, WORKER, RoutingConfig
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity
from cloacina.planner.queue.pools import Pool
from cloacina_sdk.executor import TaskExecutor
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.spec import TaskSpec


class Routes:
    """Finds executors, and tells the planner of their capacities. Changes nothing while it runs."""

    def __init__(
        self,
        executors: Mapping[str, TaskExecutor],
        routing: RoutingConfig,
        *,
        workers_per_package: int | None = None,
    ) -> None:
        """Route among ``executors``, by name.

        Raises:
            UnknownExecutorError: if the routing names another one.
        """
        routing.check(executors)
        self.executors: Final = dict(executors)
        self._routing = routing
        self._workers_per_package = workers_per_package
        named = {routing.default, *(rule.executor for rule in routing.rules)}
        self._is_checked = not named.isdisjoint(BUILT_IN)
        self._pools = {
            name: Pool(
                name=name,
                capacity=executor.capacity,
                can_kill=executor.can_kill,
                heeds=name != THREAD,
            )
            for name, executor in executors.items()
        }

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        """Return what a task's attempts take a place in while they run."""
        name = self._name(_namespace(identity, task), kind_of(identity, task))
        pool = self._pools[name]
        if name == WORKER and self._workers_per_package is not None:
            return replace(
                pool,
                name=f"{WORKER} {identity.package_digest}",
                capacity=self._workers_per_package,
            )
        return pool

    def executor_of(self, identity: Identity, task: TaskSpec) -> TaskExecutor:
        """Return the executor that runs a task.

        Raises:
            WrongExecutorError: if it is a built-in one that runs tasks of another kind.
        """
        namespace, kind = _namespace(identity, task), kind_of(identity, task)
        name = self._name(namespace, kind)
        if name in BUILT_IN and name != kind:
            raise WrongExecutorError(str(namespace), name, kind)
        return self.executors[name]

    def check(self, identity: Identity, topology: Topology) -> None:
        """Make sure that every task of a workflow has an executor that can run it.

        Raises:
            WrongExecutorError: for the first that has none.
        """
        if self._is_checked:
            for task in topology.tasks:
                self.executor_of(identity, task)

    def can_run(self, identity: Identity, topology: Topology) -> bool:
        """Whether every task of a workflow has an executor that can run it."""
        try:
            self.check(identity, topology)
        except WrongExecutorError:
            return False
        return True

    def _name(self, namespace: TaskNamespace, kind: str) -> str:
        return self._routing.executor_for(namespace, kind)


def kind_of(identity: Identity, task: TaskSpec) -> str:
    """Return the built-in executor that is made for a task."""
    if identity.package_digest is not None:
        return WORKER
    return LOOP if task.is_async else THREAD


def _namespace(identity: Identity, task: TaskSpec) -> TaskNamespace:
    return TaskNamespace(identity.tenant, identity.package, identity.workflow, task.id)
