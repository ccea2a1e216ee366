"""Collect the facts of which an explanation is made: what is stored, who lives, what is known here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cloacina.errors import TaskNotFoundError, WrongExecutorError
from cloacina.executors.routing import THREAD
from cloacina.kernel.routes import Routes
from cloacina.model.explanation import Explanation
from cloacina.ownership.presence import is_listening
from cloacina.planner.events import StoredExecution
from cloacina.planner.explain.execution import explain_execution
from cloacina.planner.explain.facts import Facts, Owner
from cloacina.planner.explain.task import explain_task
from cloacina.planner.queue.standing import Standing
from cloacina.runtime import Runtime
from cloacina.store.owner import StoredOwner
from cloacina.store.sqlite import sidecar_of
from cloacina.store.timestamps import to_text
from cloacina.store.url import Location, SqliteLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What a runner knows.

    Attributes:
        runtime: what can run here.
        routes: where it would run.
        conditions: the names of the conditions that are registered.
    """

    runtime: Runtime
    routes: Routes
    conditions: Collection[str]

    def can_serve(self, stored: StoredExecution) -> bool:
        """Whether all that an execution was planned with is registered here."""
        return self.runtime.can_serve(stored.identity, stored.topology)

    def misrouted(self, stored: StoredExecution) -> str:
        """Return which task is sent where it cannot run; empty for none."""
        try:
            self.routes.check(stored.identity, stored.topology)
        except WrongExecutorError as error:
            return str(error)
        return ""

    def in_threads(self, stored: StoredExecution) -> set[int]:
        """Return the tasks of an execution of this runner whose attempts run in threads."""
        pools = {
            number: self.routes.pool_of(stored.identity, task)
            for number, task in enumerate(stored.topology.tasks)
        }
        return {number for number, pool in pools.items() if pool.name == THREAD}


def explain(
    stored: StoredExecution,
    owner: StoredOwner | None,
    *,
    task: str | None,
    location: Location,
    now_us: int,
    here: Here | None = None,
    standing: Standing | None = None,
    limits: Mapping[int, tuple[str, str]] | None = None,
) -> Explanation:
    """Say why an execution, or a task of it, is not running.

    Args:
        stored: the execution.
        owner: who has it.
        task: the id of the task; ``None`` for the execution.
        location: of the database.
        now_us: the time by the wall clock.
        here: what this runner knows; ``None`` if whoever asks is no runner.
        standing: how it stands with this runner, if this runner has it.
        limits: what the database says is used up, where it is asked (see ``Facts.limits``).

    Raises:
        TaskNotFoundError: if it has no such task.
    """
    facts = Facts(
        stored=stored,
        owner=None if owner is None else _owner(owner, location),
        standing=standing,
        can_serve=None if here is None else here.can_serve(stored),
        is_known=here is not None and here.runtime.serving(stored.identity) is not None,
        misrouted="" if here is None else here.misrouted(stored),
        now_us=now_us,
        to_text=to_text,
        conditions=() if here is None else here.conditions,
        limits=limits or {},
        in_threads=() if here is None or standing is None else here.in_threads(stored),
    )
    if task is None:
        return explain_execution(facts)
    number = stored.topology.numbers.get(task)
    if number is None:
        raise TaskNotFoundError(stored.identity.execution_id, task, list(stored.topology.numbers))
    return explain_task(facts, number)


def _owner(owner: StoredOwner, location: Location) -> Owner:
    is_alive = not owner.is_overdue
    if isinstance(location, SqliteLocation) and location.path is not None:
        is_alive = is_listening(sidecar_of(location.path.absolute()), owner.runner_id)
    return Owner(
        runner_id=owner.runner_id,
        host=owner.host,
        process_id=owner.process_id,
        is_alive=is_alive,
    )
