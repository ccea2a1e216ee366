"""Attempts that other runners have: they claimed the offers of them, and report how they ended.

An offer that this runner takes back, withdraws or cancels, and that somebody has claimed at the
same time, is conceded: the attempt is theirs.
"""

from collections.abc import Iterable

from cloacina.model.states import TaskStatus
from cloacina.planner.effects import Effect
from cloacina.planner.events import AttemptEnded, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import attempt
from cloacina.planner.moves.concede import concede
from cloacina.planner.offered import SeenOffer
from cloacina.planner.progress import Progress
from cloacina.planner.task import TaskState


def see(progress: Progress, seen: SeenOffer, now: Now) -> list[Effect]:
    """Take note of what somebody who claimed an offer has done with it."""
    execution = progress.in_flight.get(seen.execution_id)
    if execution is None or seen.token is None or seen.runner is None:
        return []
    task = execution.tasks[seen.task_number]
    if task.is_offered and task.attempt + 1 == seen.attempt:
        progress.in_flight.mark(execution)
        attempt.start(execution, task, seen.token, seen.began_at_us(now.utc_us), seen.runner)
        _watch(progress, execution, task, now)
    if task.token != seen.token:
        return []  # it was settled, or this turn took it back in vain
    if seen.result is not None:
        task.is_reported = True
        ended = AttemptEnded(
            execution_id=execution.id,
            task_number=task.number,
            token=seen.token,
            result=seen.result,
        )
        return progress.end_attempt(ended, now)
    return [] if seen.is_runner_alive else progress.lose(execution, task, now)


def give_up(
    progress: Progress,
    contested: Iterable[ExecutionState],
    claimed: Iterable[SeenOffer],
    now: Now,
) -> None:
    """Leave to others what they claimed before its withdrawal could be written.

    What else is unsaved of the executions ``contested`` stays to be written.
    """
    known = {execution.id: execution for execution in contested}
    for execution in known.values():
        progress.in_flight.mark(execution)
    for seen in claimed:
        execution = known[seen.execution_id]
        task = concede(execution, seen, now.utc_us)
        if task.token is not None:
            _watch(progress, execution, task, now)


def adopt(execution: ExecutionState, offers: tuple[SeenOffer, ...], at_us: int) -> None:
    """Go on with what the last owner offered: withdraw what is open, keep what somebody claimed."""
    for seen in offers:
        task = execution.tasks[seen.task_number]
        is_next = seen.attempt == task.attempt + 1
        if seen.token is None or seen.runner is None:
            execution.offers.withdraw(seen.task_number, seen.attempt)
        elif is_next and task.status is TaskStatus.READY:
            attempt.start(execution, task, seen.token, seen.began_at_us(at_us), seen.runner)
        elif task.token == seen.token:
            task.runner = seen.runner
            task.attempt_started_at_us = seen.began_at_us(at_us)
    for task in execution.tasks:
        if task.is_offered:
            task.sub_status = None
            execution.touch(task)


def resume(
    progress: Progress, execution: ExecutionState, offers: tuple[SeenOffer, ...], now: Now
) -> list[Effect]:
    """Watch those attempts of an adopted execution that others have, and take what they report."""
    effects: list[Effect] = []
    for seen in offers:
        task = execution.tasks[seen.task_number]
        if task.token is not None and task.token == seen.token:
            spent_us = max(0, now.utc_us - (seen.claimed_at_us or now.utc_us))
            _watch(progress, execution, task, now, spent_us)
            effects += see(progress, seen, now)
    return effects


def _watch(
    progress: Progress, execution: ExecutionState, task: TaskState, now: Now, spent_us: int = 0
) -> None:
    """Limit the time of an attempt that another runner has."""
    progress.schedule.offers.note_away(execution, task)
    progress.schedule.deadlines.limit_attempt(execution, task, now, spent_us)
