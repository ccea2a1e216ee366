"""How executions come to a runner: submitted to it, or claimed as they are stored."""

from cloacina.model.states import ExecutionStatus, StopReason
from cloacina.planner import away, deferral, restore, standstill
from cloacina.planner.effects import Effect
from cloacina.planner.events import Claimed, Now, Submitted
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import decide, settle, stop
from cloacina.planner.progress import Progress


def submit(progress: Progress, event: Submitted, now: Now) -> list[Effect]:
    """Begin a new execution."""
    execution = ExecutionState(
        identity=event.identity,
        topology=event.topology,
        input_texts=event.input_texts,
        epoch=1,
        created_at_us=now.utc_us,
    )
    progress.adopt(execution)
    execution.record("execution_submitted", now.utc_us)
    execution.move(ExecutionStatus.RUNNING)
    execution.started_at_us = now.utc_us
    progress.schedule.deadlines.limit(execution, now)
    ready = decide.grow(execution, execution.topology, now.utc_us)
    return progress.advance(execution, ready, now)


def claim(progress: Progress, event: Claimed, now: Now) -> list[Effect]:
    """Go on with an execution that is stored; what its last owner ran itself is lost."""
    schedule = progress.schedule
    execution = restore.restored(event.stored)
    progress.adopt(execution)
    execution.record("execution_claimed", now.utc_us, detail=event.purpose)
    away.adopt(execution, event.stored.offers, now.utc_us)
    ready = restore.rebuild(execution)
    if execution.started_at_us is None:
        ready += decide.begin(execution, now.utc_us)
    standstill.resume(schedule, execution, now)
    for task in list(execution.running):
        if task.runner is None or execution.stopping is not None:
            ready += settle.lose(execution, task, now.utc_us, schedule.limits.max_losses)
    effects: list[Effect] = []
    if any(stop.calls_for_stop(execution, task) for task in execution.tasks):
        effects, ready = progress.stop(execution, StopReason.FAIL_FAST, now), []
    effects += progress.advance(execution, ready, now)
    for task in list(execution.waiting.values()):
        effects += deferral.begin(progress, execution, task, now)
    return effects + away.resume(progress, execution, event.stored.offers, now)
