"""Waits that are data: what ends them, in the executions of one runner.

Rules it upholds:

* a wait that is over already when it begins ends in the same step;
* each task sees the events of a name in the order in which they were sent, each of them once;
* a condition is called at once and then after each poll interval, by one question at a time;
* a wait goes on in the next runner; it lasts no longer than it was to last from its beginning,
  whatever the wall clock was set to meanwhile.
"""

from cloacina.planner.effects import AttemptDeferred, CallCondition, Effect, WaitFailed
from cloacina.planner.events import AttemptEnded, ConditionTold, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import settle
from cloacina.planner.moves import wait as moves
from cloacina.planner.progress import Progress
from cloacina.planner.queue.timers import Alarm, Timer
from cloacina.planner.task import TaskState
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Wait, WaitKind


def defer(progress: Progress, ended: AttemptEnded, wait: Wait, now: Now) -> list[Effect]:
    """Take an attempt whose body ended its run to wait."""
    progress.schedule.give_back(ended.token)
    found = progress.in_flight.attempt(ended.execution_id, ended.task_number, ended.token)
    if found is None:
        return progress.fill_slots(now)  # it was settled before it ended
    execution, task = found
    if task.is_overdue:
        return progress.fail_overdue(execution, task, now)
    if not execution.spec(task.number).takes_handle:
        return progress.fail(execution, task, cannot_wait(wait), now)
    if execution.stopping is not None:
        settle.end_early(execution, task, None, now.utc_us)
        return progress.advance(execution, [], now)
    deferred = AttemptDeferred(
        execution=execution,
        task_number=task.number,
        attempt=task.attempt,
        duration_us=max(0, now.utc_us - task.attempt_started_at_us),
    )
    moves.defer(execution, task, wait, now.utc_us)
    return [deferred, *begin(progress, execution, task, now), *progress.advance(execution, [], now)]


def begin(progress: Progress, execution: ExecutionState, task: TaskState, now: Now) -> list[Effect]:
    """Watch for the end of a task's wait, which began just now or in another runner."""
    if _end_if_over(execution, task, now):
        return progress.advance(execution, [task], now)
    progress.schedule.deadlines.limit_wait(execution, task, now)
    return _call(progress, execution, task)


def send(
    progress: Progress, execution: ExecutionState, name: str, payload: str | None, now: Now
) -> list[Effect]:
    """Take an event that somebody sent; tasks that waited for it go on."""
    event = execution.mailbox.add(name, payload, now.utc_us)
    execution.kept.sent.append(event)
    execution.record("event_sent", now.utc_us, detail=name)
    over = [task for task in list(execution.waiting.values()) if _end_if_came(execution, task, now)]
    return progress.advance(execution, over, now)


def hear(progress: Progress, told: ConditionTold, now: Now) -> list[Effect]:
    """Take what a condition said, if its task still waits for that very answer."""
    execution = progress.in_flight.get(told.execution_id)
    task = None if execution is None else execution.waiting.get(told.task_number)
    if execution is None or task is None or task.attempt != told.attempt or not task.is_polled:
        return []
    task.is_polled = False
    if isinstance(told.answer, TaskFailure):
        return _fail(progress, execution, task, told.answer, now)
    if told.answer:
        moves.end_wait(execution, task, now.utc_us)
        return progress.advance(execution, [task], now)
    progress.schedule.deadlines.poll_later(execution, task, now)
    return []


def ring(
    progress: Progress, timer: Timer, execution: ExecutionState, task: TaskState, now: Now
) -> list[Effect]:
    """Take the alarm of a wait, if the task still is in that wait."""
    wait = task.memory.open
    if wait is None or timer.attempt != task.attempt:
        return []
    if timer.alarm is Alarm.POLL:
        return _call(progress, execution, task)
    moves.end_wait(execution, task, now.utc_us, is_timed_out=wait.kind is not WaitKind.TIME)
    return progress.advance(execution, [task], now)


def _end_if_over(execution: ExecutionState, task: TaskState, now: Now) -> bool:
    """End a wait whose time is over, or whose event was sent; return whether it was."""
    wait = task.memory.open
    if wait is None:
        raise AssertionError(f"task {task.number} of {execution.id} waits for nothing")
    if _end_if_came(execution, task, now):
        return True
    if wait.until_us is None or wait.until_us > now.utc_us:
        return False
    moves.end_wait(execution, task, now.utc_us, is_timed_out=wait.kind is not WaitKind.TIME)
    return True


def _end_if_came(execution: ExecutionState, task: TaskState, now: Now) -> bool:
    wait = task.memory.open
    if wait is None or wait.kind is not WaitKind.EVENT or wait.name is None:
        return False
    event = execution.mailbox.nth(wait.name, task.memory.seen_of(wait.name))
    if event is None:
        return False
    moves.end_wait(execution, task, now.utc_us, event=event)
    return True


def _call(progress: Progress, execution: ExecutionState, task: TaskState) -> list[Effect]:
    """Have a condition called, unless that is not what a task waits for or it is asked already."""
    wait = task.memory.open
    if wait is None or wait.kind is not WaitKind.CONDITION or wait.name is None:
        return []
    if task.is_polled or progress.schedule.is_closing:
        return []
    task.is_polled = True
    call = CallCondition(
        execution=execution, task_number=task.number, attempt=task.attempt, name=wait.name
    )
    return [call]


def _fail(
    progress: Progress,
    execution: ExecutionState,
    task: TaskState,
    failure: TaskFailure,
    now: Now,
) -> list[Effect]:
    jitter = progress.schedule.jitter()
    ready, delay_us = moves.fail_wait(execution, task, failure, jitter, now.utc_us)
    if delay_us is not None:
        progress.schedule.deadlines.retry_after(execution, task, delay_us, now)
    failed = WaitFailed(
        execution=execution,
        task_number=task.number,
        attempt=task.attempt,
        failure=failure,
        retry_delay_us=delay_us,
    )
    return [failed, *progress.follow(execution, task, ready, now)]


def cannot_wait(wait: Wait) -> TaskFailure:
    """Return the failure of an attempt that ended to wait where nothing waits for it."""
    return TaskFailure(
        error_type="CannotWait",
        message=f"it ended to wait for {wait}, but its task takes no handle",
        traceback="",
        is_transient=False,
        is_fatal=True,
    )
