"""Settle attempts: what their success, their failure or their loss means for the task."""

from typing import Final

from cloacina.model.states import AttemptOutcome, SubStatus, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import attempt, decide, finish, remember
from cloacina.planner.task import TaskState
from cloacina_sdk.changes import Changes
from cloacina_sdk.errors import WaitTimedOutError
from cloacina_sdk.outcome import TaskFailure, type_name

_WAIT_TIMED_OUT: Final = type_name(WaitTimedOutError)
LONGEST_DELAY_MS: Final = 366 * 24 * 3600 * 1000
"""What a retry waits at most, so that its moment is one that the calendar has."""


def succeed(
    execution: ExecutionState, task: TaskState, changes: Changes, at_us: int
) -> list[TaskState]:
    """Take a successful attempt; return the tasks that may start now."""
    attempt.end(execution, task, AttemptOutcome.SUCCEEDED, None, at_us)
    return finish.complete(execution, task, changes, at_us)


def fail(
    execution: ExecutionState, task: TaskState, failure: TaskFailure, jitter: float, at_us: int
) -> tuple[list[TaskState], int | None]:
    """Take a failed attempt; return the tasks that may start, or the delay of the retry in us."""
    if execution.stopping is not None:
        return end_early(execution, task, failure, at_us), None
    attempt.end(execution, task, AttemptOutcome.FAILED, failure, at_us)
    return count_failure(execution, task, failure, jitter, at_us)


def count_failure(
    execution: ExecutionState, task: TaskState, failure: TaskFailure, jitter: float, at_us: int
) -> tuple[list[TaskState], int | None]:
    """Count a failure against a task that has no attempt running; return what ``fail`` returns."""
    task.failures += 1
    retry = execution.spec(task.number).retry
    if retry.allows_retry(task.failures, failure):
        delay_ms = failure.retry_after_ms
        if delay_ms is None:
            delay_ms = retry.delay_ms(task.failures, jitter)
        delay_us = min(delay_ms, LONGEST_DELAY_MS) * 1000
        if task.status is TaskStatus.READY:  # what failed is a wait between two attempts
            task.sub_status = SubStatus.RETRYING
        else:
            task.move(TaskStatus.READY, SubStatus.RETRYING)
        task.due_at_us, task.longest_wait_us = at_us + delay_us, delay_us
        if _WAIT_TIMED_OUT in failure.error_types:
            remember.forget_timed_out(execution, task)
        execution.touch(task)
        execution.record("task_retrying", at_us, task.number, failure.message[:500])
        return [], delay_us
    return finish.give_up(execution, task, failure.error_type, failure.message, at_us), None


def refuse(
    execution: ExecutionState, task: TaskState, error_type: str, message: str, at_us: int
) -> list[TaskState]:
    """Fail a task that was decided but cannot start; return the tasks that may start now."""
    if task.status is TaskStatus.NOT_STARTED:
        decide.hold(execution, task, at_us)
    return finish.give_up(execution, task, error_type, message, at_us)


def lose(
    execution: ExecutionState, task: TaskState, at_us: int, max_losses: int
) -> list[TaskState]:
    """Take an attempt whose runner is gone; return the tasks that may start now.

    The task is among them until it lost ``max_losses`` attempts in this way; then it is given up.
    """
    if execution.stopping is not None:
        return end_early(execution, task, None, at_us)
    task.losses += not task.is_parked  # nothing of it ran, so that it cannot have been the cause
    attempt.end(execution, task, AttemptOutcome.RUNNER_LOST, None, at_us)
    execution.record("task_runner_lost", at_us, task.number)
    if task.losses < max_losses:
        task.move(TaskStatus.READY)
        return [task]
    message = f"its runner was lost during {task.losses} attempts; the task may be what kills it"
    return finish.give_up(execution, task, "Abandoned", message, at_us)


def end_early(
    execution: ExecutionState, task: TaskState, failure: TaskFailure | None, at_us: int
) -> list[TaskState]:
    """Take the end of an attempt of an execution that is being stopped."""
    attempt.end(execution, task, AttemptOutcome.CANCELLED, failure, at_us)
    finish.cancel(execution, task, at_us, None if failure is None else failure.message)
    return []
