"""Do what people ask of an execution in flight."""

from dataclasses import replace
from typing import assert_never

from cloacina.model.states import Answer, ExecutionStatus, StopReason, TaskStatus, Wish
from cloacina.planner import deferral, restore, wishes
from cloacina.planner.effects import Effect
from cloacina.planner.events import Now, Requested, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.progress import Progress
from cloacina.planner.unsaved import Reply


def grant(progress: Progress, event: Requested, now: Now) -> tuple[list[Effect], Verdict | None]:
    """Do what is asked, if it may be done; return the answer as well.

    There is none for an execution that is not in flight here.
    """
    execution = progress.in_flight.get(event.execution_id)
    if execution is None:
        return [], None
    verdict = wishes.judge(execution, event)
    if event.command_id is not None:
        progress.in_flight.mark(execution)
        execution.unsaved.replies.append(Reply(event.command_id, verdict, now.utc_us))
    if verdict.answer is not Answer.GRANTED:
        return [], verdict
    progress.in_flight.mark(execution)
    return _fulfil(progress, execution, event, now), verdict


def _fulfil(
    progress: Progress, execution: ExecutionState, event: Requested, now: Now
) -> list[Effect]:
    wish = Wish(event.wish)
    match wish:
        case Wish.CANCEL:
            return progress.stop_and_advance(execution, StopReason.CANCEL, now)
        case Wish.PAUSE:
            execution.move(ExecutionStatus.PAUSED)
            execution.record("execution_paused", now.utc_us)
            return []
        case Wish.RESUME:
            execution.move(ExecutionStatus.RUNNING)
            execution.record("execution_resumed", now.utc_us)
            # a delay that is not over has its timer, which a wall clock does not move
            ready = [
                task
                for task in execution.tasks
                if task.status is TaskStatus.READY and not task.is_waiting
            ]
            for expansion in execution.expansions.values():
                ready += restore.waiting_elements(expansion)
            ready = [task for task in ready if task.due_at_us is None]
            return progress.advance(execution, ready, now)
        case Wish.SET_PRIORITY:
            priority = wishes.priority_of(event)
            detail = f"{execution.identity.priority} -> {priority}"
            execution.identity = replace(execution.identity, priority=priority)
            execution.record("execution_priority_changed", now.utc_us, detail=detail)
            progress.schedule.reprioritise(execution)
            return progress.fill_slots(now)
        case Wish.SEND_EVENT:
            return deferral.send(progress, execution, *wishes.event_of(event), now)
        case Wish.MIGRATE:
            raise AssertionError("an execution is migrated in the database, not in the planner")
        case _:
            assert_never(wish)
