"""Read the history of executions: one event for each change of state, in the order of the changes."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from cloacina.errors import ExecutionNotFoundError
from cloacina.store.tables import EVENTS, EXECUTIONS, FINAL_STATUSES, TASKS

PAGE = 500
"""How many events are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEvent:
    """One line of an execution's history, written in the transaction of the change that it tells.

    Attributes:
        sequence: counts from 1 within the execution, without gaps, in the order of the changes.
        kind: what happened, such as ``task_started`` or ``execution_completed``.
        task: the id of the task that it happened to; ``None`` for the execution itself.
        element: which element of a mapped task it happened to, from 0; ``None`` for whole tasks.
        at: when, by the clock of the runner that wrote it; aware, UTC.
        detail: more about it, such as the error of a failure.
    """

    sequence: int
    kind: str
    task: str | None
    element: int | None
    at: datetime
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some events in their order."""

    events: list[ExecutionEvent]
    is_last: bool
    """Whether no event follows, unless the execution goes on."""
    is_over: bool
    """Whether it is the last page of an execution that has ended."""


def read_events(connection: sa.Connection, execution_id: str, after: int) -> Page:
    """Return the events of an execution that follow sequence ``after``, at most ``PAGE`` of them.

    Raises:
        ExecutionNotFoundError: if there is none with that id.
    """
    status = sa.select(EXECUTIONS.c.status).where(EXECUTIONS.c.id == execution_id)
    found = connection.execute(status).scalar_one_or_none()
    if found is None:
        raise ExecutionNotFoundError(execution_id)
    columns = EVENTS.c
    of_task = sa.and_(
        TASKS.c.execution_id == columns.execution_id, TASKS.c.number == columns.task_number
    )
    query = (
        sa.select(columns.seq, columns.kind, TASKS.c.task, TASKS.c.item, columns.at, columns.detail)
        .outerjoin(TASKS, of_task)
        .where(columns.execution_id == execution_id, columns.seq > after)
        .order_by(columns.seq)
        .limit(PAGE)
    )
    events = [
        ExecutionEvent(
            sequence=seq,
            kind=kind,
            task=task,
            element=item,
            at=datetime.fromisoformat(at).astimezone(UTC),
            detail=detail,
        )
        for seq, kind, task, item, at, detail in connection.execute(query).all()
    ]
    is_last = len(events) < PAGE
    return Page(events=events, is_last=is_last, is_over=is_last and found in FINAL_STATUSES)
