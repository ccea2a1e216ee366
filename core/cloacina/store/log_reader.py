"""Read back what attempts said."""

from dataclasses import dataclass

import sqlalchemy as sa

from cloacina.errors import ExecutionNotFoundError, TaskNotFoundError
from cloacina.store.tables import EXECUTIONS, TASK_LOGS, TASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLog:
    """One line that an attempt of a task printed or logged.

    Attributes:
        task: the task's id.
        element: which element of a mapped task said it, from 0; ``None`` for other tasks.
        attempt: counted from 1.
        seq: counted from 1 within the attempt.
        at: when it was said: RFC 3339, UTC, microseconds.
        source: ``logging``, ``stdout``, ``stderr``, or ``progress`` (a number from 0 to 1).
        level: as ``logging`` counts; INFO for both output streams.
        logger: the logger's name; empty for output streams.
        text: without the newline at its end; a log record may have several lines.
    """

    task: str
    element: int | None
    attempt: int
    seq: int
    at: str
    source: str
    level: int
    logger: str
    text: str


def task_logs(
    connection: sa.Connection,
    execution_id: str,
    task: str | None = None,
    attempt: int | None = None,
) -> list[TaskLog]:
    """Return what an execution's attempts said, in the order in which they said it.

    Raises:
        ExecutionNotFoundError: if there is no execution with that id.
        TaskNotFoundError: if it has no task with that id.
    """
    logs = TASK_LOGS.c
    query = (
        sa.select(
            TASKS.c.task,
            TASKS.c.item.label("element"),
            logs.attempt,
            logs.seq,
            logs.at,
            logs.source,
            logs.level,
            logs.logger,
            logs.text,
        )
        .join(
            TASKS,
            sa.and_(TASKS.c.execution_id == logs.execution_id, TASKS.c.number == logs.task_number),
        )
        .where(logs.execution_id == execution_id)
        .order_by(logs.at, logs.task_number, logs.attempt, logs.seq)
    )
    if task is not None:
        query = query.where(TASKS.c.task == task)
    if attempt is not None:
        query = query.where(logs.attempt == attempt)
    found = [TaskLog(**row) for row in connection.execute(query).mappings().all()]
    if not found:
        _explain(connection, execution_id, task)
    return found


def _explain(connection: sa.Connection, execution_id: str, task: str | None) -> None:
    """Tell silence from what is not there."""
    query = sa.select(EXECUTIONS.c.id).where(EXECUTIONS.c.id == execution_id)
    if connection.execute(query).first() is None:
        raise ExecutionNotFoundError(execution_id)
    names = sa.select(TASKS.c.task).where(TASKS.c.execution_id == execution_id)
    known = connection.execute(names.order_by(TASKS.c.number)).scalars().all()
    if task is not None and task not in known:
        raise TaskNotFoundError(execution_id, task, known)
