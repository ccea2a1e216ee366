"""Give up an offer that was to be withdrawn, because somebody had claimed it at the same time."""

from dataclasses import replace

from cloacina.model.states import AttemptOutcome, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import attempt
from cloacina.planner.offered import SeenOffer, Settlement
from cloacina.planner.task import TaskState
from cloacina.planner.unsaved import AttemptEnd, AttemptStart


def concede(execution: ExecutionState, seen: SeenOffer, at_us: int) -> TaskState:
    """Leave a claimed offer to its claimer, as if it had not been withdrawn; return its task.

    What this runner started instead has not begun, and now it is the claimer's. What was cancelled
    meanwhile stays so, and the attempt that began nevertheless is on record.
    """
    assert seen.token is not None and seen.runner is not None  # noqa: S101, PT018 - it was claimed
    task = execution.tasks[seen.task_number]
    unsaved = execution.unsaved
    del execution.offers.withdrawn[seen.task_number, seen.attempt]
    began_at_us = seen.began_at_us(at_us)
    started = AttemptStart(task.number, seen.attempt, seen.token, began_at_us, seen.runner)
    if task.status is TaskStatus.READY and task.attempt < seen.attempt:
        attempt.start(execution, task, seen.token, began_at_us, seen.runner)
        return task
    if task.attempt >= seen.attempt:
        places = [n for n, each in enumerate(unsaved.starts) if _is_attempt(each, seen)]
        own = unsaved.starts[places[0]]
        unsaved.starts[places[0]] = replace(
            own, token=seen.token, runner=seen.runner, started_at_us=began_at_us
        )
        if task.token == own.token:
            task.token, task.runner, task.is_reported = seen.token, seen.runner, False
            return task
        ends = [n for n, each in enumerate(unsaved.ends) if _is_attempt(each, seen)]
        unsaved.ends[ends[0]] = replace(unsaved.ends[ends[0]], token=seen.token)
    else:
        task.attempt = seen.attempt
        end = AttemptEnd(
            task.number, seen.attempt, seen.token, at_us, AttemptOutcome.CANCELLED, None
        )
        unsaved.starts.append(started)
        unsaved.ends.append(end)
        execution.touch(task)
        _record_start(execution, task, at_us)
    execution.offers.settled.append(
        Settlement(task.number, seen.attempt, seen.token, is_reported=False)
    )
    return task


def _record_start(execution: ExecutionState, task: TaskState, at_us: int) -> None:
    """Put the start of a cancelled attempt into the history, before its task's end."""
    execution.record("task_started", at_us, task.number)
    history = execution.unsaved.history
    line = history.pop()
    place = next(n for n, each in enumerate(history) if each.task_number == task.number)
    history.insert(place, line)
    first = execution.event_count - len(history) + 1
    history[:] = [replace(each, seq=first + n) for n, each in enumerate(history)]


def _is_attempt(part: AttemptStart | AttemptEnd, seen: SeenOffer) -> bool:
    return (part.task_number, part.attempt) == (seen.task_number, seen.attempt)
