"""The time that a workflow may take stands still while an execution only waits.

It does while some task waits, no attempt runs in a slot, and none is ready to. What that came to is
stored, so that the time stands still across restarts, too.
"""

from collections.abc import Iterator

from cloacina.model.states import TaskStatus
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.queue.schedule import Schedule
from cloacina.planner.task import TaskState


def note(schedule: Schedule, execution: ExecutionState, now: Now) -> None:
    """Stop or start the clock of an execution, as what became of it in this step demands."""
    if execution.topology.workflow.timeout_ms is None:
        return
    only_waits = bool(execution.waiting) and not _is_active(execution)
    only_waits = only_waits and execution.can_be_stopped
    if only_waits and execution.waits_since_us is None:
        execution.waits_since_us = now.utc_us
        schedule.deadlines.suspend(execution, now)
    elif not only_waits and execution.waits_since_us is not None:
        _count(execution, now)
        schedule.deadlines.limit(execution, now)


def resume(schedule: Schedule, execution: ExecutionState, now: Now) -> None:
    """Start the clock of an execution that was claimed; it may have stood still since then."""
    _count(execution, now)
    schedule.deadlines.limit(execution, now)


def _count(execution: ExecutionState, now: Now) -> None:
    """Count the time for which an execution has only waited, which is over."""
    if execution.waits_since_us is not None:
        execution.waited_us += max(0, now.utc_us - execution.waits_since_us)
        execution.waits_since_us = None


def _is_active(execution: ExecutionState) -> bool:
    """Whether anything of an execution runs, or could; what did so last is looked at first."""
    witness = None if execution.witness is None else execution.task(execution.witness)
    if witness is not None and _runs(witness):
        return True
    for task in _candidates(execution):
        if _runs(task):
            execution.witness = task.number
            return True
    return any(each.has_more and each.has_room for each in execution.expansions.values())


def _candidates(execution: ExecutionState) -> Iterator[TaskState]:
    yield from execution.unsaved.tasks.values()
    yield from execution.tasks
    for expansion in execution.expansions.values():
        yield from expansion.open.values()


def _runs(task: TaskState) -> bool:
    if task.token is not None:
        return not task.is_parked or task.unpark_ask is not None
    return task.status is TaskStatus.READY and not task.is_waiting
