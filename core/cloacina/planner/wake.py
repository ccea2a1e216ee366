"""What happens when a moment comes that the planner asked to be woken at."""

from cloacina.model.states import StopReason, SubStatus
from cloacina.planner import deferral
from cloacina.planner.effects import Effect
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import settle
from cloacina.planner.progress import Progress, ask_to_end
from cloacina.planner.queue.timers import Alarm, Timer
from cloacina.planner.task import TaskState


def wake(progress: Progress, now: Now) -> list[Effect]:
    """Ring the timers that are due, and fill the slots that this frees."""
    effects: list[Effect] = []
    for timer in progress.schedule.deadlines.take_due(now):
        execution = progress.in_flight.get(timer.execution_id)
        if execution is not None:
            effects += _ring(progress, timer, execution, now)
    return effects + progress.fill_slots(now)


def _ring(progress: Progress, timer: Timer, execution: ExecutionState, now: Now) -> list[Effect]:
    if timer.task_number is None:
        is_of_now = timer.attempt == execution.epoch and timer.due_us == execution.times_out_at_us
        if not execution.can_be_stopped or not is_of_now:
            return []  # of an earlier run, if it was retried, or it stood still meanwhile
        return progress.stop_and_advance(execution, StopReason.TIMEOUT, now)
    task = execution.task(timer.task_number)
    if task is None:
        return []
    if timer.alarm in {Alarm.WAIT, Alarm.POLL}:
        return deferral.ring(progress, timer, execution, task, now)
    if timer.alarm is Alarm.RETRY:
        if task.sub_status is SubStatus.RETRYING and timer.attempt == task.attempt:
            task.due_at_us = None  # over, whatever the wall clock says
            progress.schedule.enqueue(execution, task)
        return []
    return (
        []
        if task.token != timer.token
        else _ring_for_attempt(progress, timer, execution, task, now)
    )


def _ring_for_attempt(
    progress: Progress, timer: Timer, execution: ExecutionState, task: TaskState, now: Now
) -> list[Effect]:
    schedule = progress.schedule
    if timer.alarm is Alarm.ATTEMPT_TIMEOUT and timer.due_us != task.times_out_at_us:
        return []  # it was parked meanwhile
    if timer.alarm is Alarm.ATTEMPT_TIMEOUT:
        if task.is_overdue or execution.stopping is not None:
            return []  # it was asked to end already, and has its time of grace
        if schedule.pool_of(execution, task).heeds:
            task.is_overdue = True
            return progress.ask_with_grace(execution, task, now)
    killed = ask_to_end(execution, task, now, is_kill=True)
    progress.in_flight.mark(execution)
    if execution.stopping is None or task.is_overdue:
        return killed + progress.fail(execution, task, schedule.timed_out(execution, task), now)
    settle.end_early(execution, task, schedule.given_up(execution, task), now.utc_us)
    return killed + progress.advance(execution, [], now)
