"""Rows of the history of executions."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import maybe, moment, plain


class NewEvent(NamedTuple):
    """One line of history."""

    execution_id: str
    seq: int
    task_number: int | None
    kind: str
    at: str
    detail: str | None


def new_events(execution: ExecutionState) -> list[NewEvent]:
    """Return the lines of history that are not stored yet."""
    return [
        NewEvent(
            execution.id,
            line.seq,
            line.task_number,
            line.kind,
            moment(line.at_us),
            maybe(plain, line.detail),
        )
        for line in execution.unsaved.history
    ]
