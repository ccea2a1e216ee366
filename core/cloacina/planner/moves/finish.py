"""Tasks and elements become final: completed, failed for good, or cancelled.

A mapped task ends in the same step as its last element.
"""

from cloacina.model.states import TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion
from cloacina.planner.moves import attempt, decide, mapped, remember
from cloacina.planner.task import TaskState
from cloacina_sdk.changes import Changes


def complete(
    execution: ExecutionState, task: TaskState, changes: Changes, at_us: int
) -> list[TaskState]:
    """Complete a task that passes on ``changes``; return the tasks that may start now."""
    task.changes = changes
    task.move(TaskStatus.COMPLETED)
    execution.record("task_completed", at_us, task.number)
    return _finish(execution, task, at_us)


def give_up(
    execution: ExecutionState, task: TaskState, error_type: str, message: str, at_us: int
) -> list[TaskState]:
    """Fail a task for good; return the tasks that may start now."""
    task.move(TaskStatus.FAILED)
    task.error_type, task.error_message = error_type, message
    execution.record("task_failed", at_us, task.number, f"{error_type}: {message}"[:500])
    return _finish(execution, task, at_us)


def cancel(
    execution: ExecutionState, task: TaskState, at_us: int, reason: str | None = None
) -> None:
    """Cancel a task or an element that has no attempt running; nothing may start because of it."""
    attempt.retract(execution, task)
    remember.forget_wait(execution, task)
    task.move(TaskStatus.CANCELLED)
    task.due_at_us = None
    task.reason = reason or None
    execution.record("task_cancelled", at_us, task.number, (reason or "")[:500])
    if task.parent is not None:
        _close_element(execution, task, at_us)
    else:
        decide.close(execution, task, at_us)


def finish_if_over(execution: ExecutionState, expansion: Expansion, at_us: int) -> list[TaskState]:
    """End a mapped task once its elements are over; return the tasks that may start now."""
    if not expansion.is_over:
        return []
    task = expansion.parent
    status, message = mapped.verdict(expansion)
    if status is TaskStatus.COMPLETED:
        return complete(execution, task, expansion.collect(), at_us)
    expansion.let_go()
    if status is TaskStatus.FAILED:
        return give_up(execution, task, "ElementFailed", message, at_us)
    task.move(status)
    execution.record("task_cancelled", at_us, task.number)
    return _finish(execution, task, at_us)


def _finish(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Close a final task and decide what that makes decidable; return what may start."""
    if task.parent is not None:
        return _close_element(execution, task, at_us)
    return decide.decide_all(execution, decide.close(execution, task, at_us), at_us)


def _close_element(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Note that an element is final; return what may start, if its task ended with it."""
    task.finished_at_us = at_us
    execution.touch(task)
    expansion = execution.expansion_of(task)
    assert expansion is not None  # noqa: S101 - it is an element
    expansion.take(task)
    return finish_if_over(execution, expansion, at_us)
