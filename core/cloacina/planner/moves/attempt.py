"""The life of one attempt: offered to others perhaps, started, ended."""

from collections.abc import Mapping

from cloacina.model.states import AttemptOutcome, SubStatus, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.offered import Offering, Settlement
from cloacina.planner.queue.claims import NOTHING, Claim
from cloacina.planner.task import TaskState
from cloacina.planner.unsaved import AttemptEnd, AttemptStart
from cloacina_sdk.outcome import TaskFailure


def offer(execution: ExecutionState, task: TaskState, texts: Mapping[str, str], at_us: int) -> None:
    """Offer the next attempt of ``task``, which is ready, to any runner."""
    task.sub_status = SubStatus.OFFERED
    task.due_at_us = None
    execution.touch(task)
    execution.offers.make(Offering(task.number, task.attempt + 1, texts, at_us))


def withdraw(execution: ExecutionState, task: TaskState) -> None:
    """Take an offer back; ``task`` stays ready."""
    retract(execution, task)
    task.sub_status = None
    execution.touch(task)


def retract(execution: ExecutionState, task: TaskState) -> None:
    """Take back the offer of the next attempt of ``task``, if there is one."""
    if task.is_offered:
        execution.offers.withdraw(task.number, task.attempt + 1)


def start(
    execution: ExecutionState,
    task: TaskState,
    token: str,
    at_us: int,
    runner: str | None = None,
    claim: Claim = NOTHING,
) -> None:
    """Record the next attempt of ``task`` as running under ``token``, which holds ``claim``.

    It runs on ``runner``, if not here.
    """
    if runner is None:
        retract(execution, task)
    is_first_move = task.status is TaskStatus.NOT_STARTED
    task.move(TaskStatus.RUNNING)
    task.attempt += 1
    task.token = token
    task.runner, task.is_reported, task.is_overdue = runner, False, False
    task.due_at_us = None
    task.attempt_started_at_us = at_us
    if task.started_at_us is None:
        task.started_at_us = at_us
    expansion = execution.expansion_of(task)
    if expansion is not None:
        expansion.running += 1
        expansion.attempts += 1
    execution.touch(task)
    execution.unsaved.starts.append(
        AttemptStart(
            task.number,
            task.attempt,
            token,
            at_us,
            runner=runner,
            claim=claim,
            is_first_move=is_first_move,
        )
    )
    execution.record("task_started", at_us, task.number)


def end(
    execution: ExecutionState,
    task: TaskState,
    outcome: AttemptOutcome,
    failure: TaskFailure | None,
    at_us: int,
) -> None:
    """Record that the running attempt of ``task`` has ended."""
    if task.token is None:
        raise AssertionError(f"task {task.number} of {execution.id} has no running attempt")
    execution.unsaved.ends.append(
        AttemptEnd(task.number, task.attempt, task.token, at_us, outcome, failure)
    )
    execution.touch(task)
    if task.runner is not None:
        settlement = Settlement(task.number, task.attempt, task.token, task.is_reported)
        execution.offers.settled.append(settlement)
    if task.sub_status is SubStatus.DEFERRED:  # it is parked
        execution.waiting.pop(task.number, None)
        task.unpark_ask = task.time_left_us = None
    task.token = task.runner = None
    expansion = execution.expansion_of(task)
    if expansion is not None:
        expansion.running -= 1
