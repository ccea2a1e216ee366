"""Tasks that take a handle: their waits begin and end, and what they store is kept.

A task waits between two attempts, when what it waits for is data; or within one, which is parked
then and holds no slot.
"""

from dataclasses import replace

from cloacina.model.states import AttemptOutcome, SubStatus, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.mailbox import SentEvent
from cloacina.planner.memory import OpenWait, opened
from cloacina.planner.moves import attempt, settle
from cloacina.planner.moves.remember import forget_wait, remember, stop_waiting
from cloacina.planner.task import TaskState
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Memory, PassedWait, Wait, WaitKind


def defer(execution: ExecutionState, task: TaskState, wait: Wait, at_us: int) -> None:
    """Take an attempt whose body ended its run to wait."""
    attempt.end(execution, task, AttemptOutcome.DEFERRED, None, at_us)
    task.move(TaskStatus.READY, SubStatus.DEFERRED)
    begun = opened(wait, at_us)
    remember(execution, task, replace(task.memory, open=begun))
    execution.waiting[task.number] = task
    execution.record("task_deferred", at_us, task.number, f"until {_described(begun)}")


def end_wait(
    execution: ExecutionState,
    task: TaskState,
    at_us: int,
    *,
    is_timed_out: bool = False,
    event: SentEvent | None = None,
) -> None:
    """Record that a task's wait is over; the next attempt may start."""
    wait = _open_wait_of(execution, task)
    passed = wait.passed(is_timed_out=is_timed_out, event=None if event is None else event.seq)
    remember(execution, task, task.memory.after(passed))
    stop_waiting(execution, task)
    how = "timed out" if is_timed_out else "over"
    execution.record("task_wait_over", at_us, task.number, f"{how}: {_described(wait)}")


def fail_wait(
    execution: ExecutionState, task: TaskState, failure: TaskFailure, jitter: float, at_us: int
) -> tuple[list[TaskState], int | None]:
    """Take the failure of what a task waits for, as that of its attempt.

    Returns:
        the tasks that may start, or the delay in us after which the task is tried again.
    """
    _open_wait_of(execution, task)
    forget_wait(execution, task)
    return settle.count_failure(execution, task, failure, jitter, at_us)


def park(execution: ExecutionState, task: TaskState, at_us: int) -> None:
    """Record that a running attempt waits where it is."""
    task.move(TaskStatus.RUNNING, SubStatus.DEFERRED)
    execution.waiting[task.number] = task
    execution.touch(task)
    execution.record("task_parked", at_us, task.number)


def unpark(execution: ExecutionState, task: TaskState, at_us: int) -> None:
    """Record that a parked attempt goes on."""
    task.move(TaskStatus.RUNNING)
    task.unpark_ask = None
    del execution.waiting[task.number]
    execution.touch(task)
    execution.record("task_unparked", at_us, task.number)


def told_to(execution: ExecutionState, task: TaskState) -> Memory:
    """Return what the next run of a task's body is told of the earlier ones."""
    memory = task.memory
    if not memory.passed:
        return Memory(checkpoint=memory.checkpoint)
    return Memory(
        waits=tuple(
            PassedWait(
                kind=each.kind,
                name=each.name,
                is_timed_out=each.is_timed_out,
                payload=None if each.event is None else execution.mailbox.payload_of(each.event),
            )
            for each in memory.passed
        ),
        checkpoint=memory.checkpoint,
    )


def _open_wait_of(execution: ExecutionState, task: TaskState) -> OpenWait:
    wait = task.memory.open
    if wait is None or task.status is not TaskStatus.READY:
        raise AssertionError(f"task {task.number} of {execution.id} waits for nothing")
    return wait


def _described(wait: OpenWait) -> str:
    """Describe a wait for the history, where names may be long."""
    seconds = "" if wait.longest_us is None else f"{wait.longest_us / 1_000_000:.15g} s"
    match wait.kind:
        case WaitKind.TIME:
            return f"{seconds} from then"
        case WaitKind.EVENT | WaitKind.CONDITION:
            limit = f", for {seconds} at most" if seconds else ""
            return f"{wait.kind.lower()} {wait.name!r}{limit}"
