"""Rows of attempts."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import moment, plain


class NewAttempt(NamedTuple):
    """An attempt, recorded before its body runs."""

    execution_id: str
    task_number: int
    number: int
    token: str
    runner: str
    started_at: str
    concurrency_key: str | None
    concurrency_slot: int | None
    rate_key: str | None
    rate_slot: int | None


class AttemptClose(NamedTuple):
    """The end of an attempt, if nobody recorded one yet."""

    finished_at: str
    outcome: str
    error_type: str | None
    error_message: str | None
    traceback: str | None
    execution_id: str
    task_number: int
    number: int
    token: str


def new_attempts(execution: ExecutionState, runner: str) -> list[NewAttempt]:
    """Return the attempts that were started."""
    return [
        NewAttempt(
            execution.id,
            start.task_number,
            start.attempt,
            start.token,
            start.runner or runner,
            moment(start.started_at_us),
            start.claim.key,
            start.claim.key_slot,
            start.claim.rate_key,
            start.claim.rate_slot,
        )
        for start in execution.unsaved.starts
    ]


def attempt_closes(execution: ExecutionState) -> list[AttemptClose]:
    """Return the attempts that ended."""
    return [
        AttemptClose(
            moment(end.finished_at_us),
            end.outcome,
            plain(end.failure.error_type) if end.failure else None,
            plain(end.failure.message) if end.failure else None,
            plain(end.failure.traceback) if end.failure else None,
            execution.id,
            end.task_number,
            end.attempt,
            end.token,
        )
        for end in execution.unsaved.ends
    ]
