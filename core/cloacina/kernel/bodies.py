"""Find the body of an embedded task, and what its submitter left for it."""

import contextvars
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from cloacina.executors.embedded import Body
from cloacina.planner.events import Identity
from cloacina.runtime import Runtime
from cloacina_sdk.attempt import TaskReadyEvent
from cloacina_sdk.spec import TaskSpec

FindFunction: TypeAlias = Callable[[Identity, str], Callable[..., Any] | None]
"""Returns the function of a task of an execution, by its id, if it is here."""


class Bodies:
    """The bodies that this process has. ``variables`` belongs to the kernel's thread."""

    def __init__(self, runtime: Runtime) -> None:
        """Look in ``runtime``."""
        self._runtime = runtime
        self.variables: dict[str, contextvars.Context] = {}
        """Execution id -> the context variables of its submitter, while it is in flight here."""

    def find(self, event: TaskReadyEvent) -> Body:
        """Return the body of an attempt.

        Raises:
            LookupError: if it is not registered here any more.
        """
        namespace = event.namespace
        identity = Identity(
            execution_id=event.execution_id,
            tenant=namespace.tenant_id,
            package=namespace.package_name,
            package_digest=event.package_digest,
            workflow=namespace.workflow_id,
            workflow_version=event.workflow_version,
        )
        function = self.function(identity, namespace.task_id)
        if function is None:
            raise LookupError(f"the body of {namespace} is not registered in this process")
        return Body(function=function, variables=self.variables.get(event.execution_id))

    def known(self, identity: Identity, task_id: str) -> TaskSpec | None:
        """Return a task of exactly the workflow that an execution is pinned to, if it is here."""
        found = self._runtime.exactly(identity)
        number = None if found is None else found.topology.numbers.get(task_id)
        if found is None or number is None:
            return None
        is_here = found.package_digest is not None or task_id in found.functions
        return found.topology.tasks[number] if is_here else None

    def function(self, identity: Identity, task_id: str) -> Callable[..., Any] | None:
        """Return the function of an embedded task, if it is registered here."""
        served = self._runtime.serving(identity)
        return None if served is None else served.functions.get(task_id)


def import_path(function: Callable[..., Any] | None) -> str | None:
    """Return ``module:qualified.name`` of a function that another process can import."""
    if not inspect.isfunction(function) or function.__module__ == "__main__":
        return None
    name = function.__qualname__
    return None if "<" in name else f"{function.__module__}:{name}"
