"""Change what a task that takes a handle is told of its earlier runs."""

from dataclasses import replace

from cloacina.model.states import TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.memory import TaskMemory
from cloacina.planner.task import TaskState


def remember(execution: ExecutionState, task: TaskState, memory: TaskMemory) -> None:
    """Give a task another memory."""
    task.memory = memory
    execution.kept.memories[task.number] = task


def keep_checkpoint(execution: ExecutionState, task: TaskState, text: str) -> None:
    """Keep a value, as JSON text, for later runs of a task's body."""
    remember(execution, task, replace(task.memory, checkpoint=text))


def forget_wait(execution: ExecutionState, task: TaskState) -> None:
    """End the open wait of a task, if there is one, as if it had not begun."""
    if task.memory.open is not None:
        remember(execution, task, replace(task.memory, open=None))
        stop_waiting(execution, task)


def forget_timed_out(execution: ExecutionState, task: TaskState) -> None:
    """Forget the last wait of a task, if it timed out, so that the next run waits anew."""
    passed = task.memory.passed
    if passed and passed[-1].is_timed_out:
        remember(execution, task, replace(task.memory, passed=passed[:-1]))


def stop_waiting(execution: ExecutionState, task: TaskState) -> None:
    """Note that a task between two attempts waits for nothing any more."""
    execution.waiting.pop(task.number, None)
    task.is_polled = False
    if task.status is TaskStatus.READY:
        task.sub_status = None
        execution.touch(task)
