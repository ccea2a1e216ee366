"""What the bodies of running attempts ask for: keep a value, give the slot back, take one again."""

from typing import assert_never

from cloacina.planner.effects import AnswerAsk, Effect
from cloacina.planner.events import AttemptAsked, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import remember
from cloacina.planner.moves import wait as moves
from cloacina.planner.progress import Progress
from cloacina.planner.task import TaskState
from cloacina_sdk.executor import Checkpoint, Park, Reply, Unpark


def ask(progress: Progress, event: AttemptAsked, now: Now) -> list[Effect]:
    """Do what an attempt asks for. One that is not running any more is left without an answer."""
    found = progress.in_flight.attempt(event.execution_id, event.task_number, event.token)
    if found is None:
        return []
    execution, task = found
    if task.runner is not None or not execution.spec(task.number).takes_handle:
        return []
    match event.ask:
        case Checkpoint():
            remember.keep_checkpoint(execution, task, event.ask.text)
            progress.in_flight.mark(execution)
            return [_done(execution, event)]
        case Park():
            return _park(progress, execution, task, event, now)
        case Unpark():
            return _unpark(progress, execution, task, event, now)
        case _:
            assert_never(event.ask)


def release(progress: Progress, now: Now) -> list[Effect]:
    """Let go of what is parked, for a runner that ends: the next one runs those bodies again."""
    effects: list[Effect] = []
    for execution, task in list(progress.in_flight.running):
        if task.is_parked:
            effects += progress.lose(execution, task, now)
    return effects


def _park(
    progress: Progress,
    execution: ExecutionState,
    task: TaskState,
    event: AttemptAsked,
    now: Now,
) -> list[Effect]:
    if not task.is_parked:
        moves.park(execution, task, now.utc_us)
        progress.schedule.park(task, now)
        progress.in_flight.mark(execution)
    if progress.schedule.is_closing:
        return progress.lose(execution, task, now)
    return [_done(execution, event), *progress.fill_slots(now)]


def _unpark(
    progress: Progress,
    execution: ExecutionState,
    task: TaskState,
    event: AttemptAsked,
    now: Now,
) -> list[Effect]:
    if not task.is_parked:
        return [_done(execution, event)]
    if task.unpark_ask is None:
        task.unpark_ask = event.number
        progress.schedule.enqueue(execution, task)
    progress.in_flight.mark(execution)
    return progress.fill_slots(now)


def _done(execution: ExecutionState, event: AttemptAsked) -> AnswerAsk:
    return AnswerAsk(execution=execution, number=event.number, reply=Reply.DONE)
