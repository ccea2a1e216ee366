"""Rows of what attempts said."""

from typing import NamedTuple

from cloacina.planner.events import SaidLine
from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import plain
from cloacina.store.timestamps import to_text


class NewLogLine(NamedTuple):
    """One line that an attempt printed or logged."""

    execution_id: str
    task_number: int
    attempt: int
    seq: int
    at: str
    source: str
    level: int
    logger: str
    text: str


def new_log_lines(execution: ExecutionState) -> list[NewLogLine]:
    """Return the lines that are not stored yet."""
    return [
        log_line(execution.id, task_number, attempt, line)
        for task_number, attempt, line in execution.unsaved.said
    ]


def log_line(execution_id: str, task_number: int, attempt: int, line: SaidLine) -> NewLogLine:
    """Return the row of a line."""
    return NewLogLine(
        execution_id,
        task_number,
        attempt,
        line.seq,
        to_text(line.at_us),
        line.source,
        line.level,
        plain(line.logger),
        plain(line.text),
    )
