"""Collect the facts of which an explanation is made: what is stored, who lives, what is known here."""

from collections.abc import Collection

from cloacina.errors import TaskNotFoundError
from cloacina.model.explanation import Explanation
from cloacina.ownership.presence import is_listening
from cloacina.planner.events import Identity, StoredExecution
from cloacina.planner.explain.execution import explain_execution
from cloacina.planner.explain.facts import Facts, Owner
from cloacina.planner.explain.task import explain_task
from cloacina.planner.queue.standing import Standing
from cloacina.runtime import Runtime
from cloacina.store.owner import StoredOwner
from cloacina.store.sqlite import sidecar_of
from cloacina.store.timestamps import to_text
from cloacina.store.url import Location, SqliteLocation


def explain(
    stored: StoredExecution,
    owner: StoredOwner | None,
    *,
    task: str | None,
    location: Location,
    now_us: int,
    runtime: Runtime | None = None,
    standing: Standing | None = None,
    conditions: Collection[str] = (),
) -> Explanation:
    """Say why an execution, or a task of it, is not running.

    Args:
        stored: the execution.
        owner: who has it.
        task: the id of the task; ``None`` for the execution.
        location: of the database.
        now_us: the time by the wall clock.
        runtime: what can run here; ``None`` if whoever asks is no runner.
        standing: how it stands with this runner, if this runner has it.
        conditions: the names of the conditions that are registered with this runner.

    Raises:
        TaskNotFoundError: if it has no such task.
    """
    facts = Facts(
        stored=stored,
        owner=None if owner is None else _owner(owner, location),
        standing=standing,
        can_serve=None if runtime is None else runtime.can_serve(stored.identity, stored.topology),
        is_known=runtime is not None and _is_known(runtime, stored.identity),
        now_us=now_us,
        to_text=to_text,
        conditions=conditions,
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


def _is_known(runtime: Runtime, identity: Identity) -> bool:
    return runtime.serving(identity) is not None
