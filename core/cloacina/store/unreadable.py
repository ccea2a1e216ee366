"""End an execution that nobody can plan, as what is stored of it cannot be read.

A newer version may have written it, or somebody damaged it. Only columns are touched whose form
does not depend on what cannot be read; what has ended stays as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from cloacina.errors import EngineError, UnreadableExecutionError
from cloacina.model.states import AttemptOutcome, ExecutionStatus, StopReason, TaskStatus
from cloacina.store.tables import ATTEMPTS, EVENTS, EXECUTIONS, OFFERS, TASKS
from cloacina.store.timestamps import to_text

_ENDED: Final = tuple(status.value for status in TaskStatus if status.is_final)


@contextmanager
def readable(execution_id: str) -> Iterator[None]:
    """Say of an execution whose rows make no sense that this is so, and what can be done.

    Raises:
        UnreadableExecutionError: if what is done within finds a value that it cannot read.
    """
    try:
        yield
    except EngineError:
        raise
    except ValueError as error:
        raise UnreadableExecutionError(execution_id, str(error)) from error


def cancel(connection: sa.Connection, execution_id: str, at_us: int) -> None:
    """Cancel a locked execution that the caller has seized, and all of it that has not ended.

    Its attempts are nobody's any more: a runner that claimed one finds its offer gone, and ends it.
    """
    at = to_text(at_us)
    unfinished = sa.and_(TASKS.c.execution_id == execution_id, TASKS.c.status.not_in(_ENDED))
    query = sa.select(TASKS.c.number).where(unfinished).order_by(TASKS.c.number)
    numbers = list(connection.execute(query).scalars())
    connection.execute(sa.delete(OFFERS).where(OFFERS.c.execution_id == execution_id))
    connection.execute(
        sa.update(ATTEMPTS)
        .where(ATTEMPTS.c.execution_id == execution_id, ATTEMPTS.c.outcome.is_(None))
        .values(outcome=AttemptOutcome.CANCELLED.value, finished_at=at)
    )
    connection.execute(
        sa.update(TASKS)
        .where(unfinished)
        .values(
            status=TaskStatus.CANCELLED.value,
            sub_status=None,
            due_at=None,
            finished_at=at,
            waits=None,
        )
    )
    last = _record(connection, execution_id, numbers, at)
    connection.execute(
        sa.update(EXECUTIONS)
        .where(EXECUTIONS.c.id == execution_id)
        .values(
            status=ExecutionStatus.CANCELLED.value,
            stopping=StopReason.CANCEL.value,
            finished_at=at,
            event_count=last,
            owner=None,
        )
    )


def _record(connection: sa.Connection, execution_id: str, numbers: list[int], at: str) -> int:
    """Write the history of a cancellation; return its last sequence."""
    query = sa.select(sa.func.max(EVENTS.c.seq)).where(EVENTS.c.execution_id == execution_id)
    last = connection.execute(query).scalar_one() or 0
    lines: list[tuple[str, int | None, str | None]] = [
        ("execution_stopping", None, StopReason.CANCEL.value),
        *(("task_cancelled", number, None) for number in numbers),
        ("execution_cancelled", None, "what is stored of it cannot be read"),
    ]
    rows = [
        {
            "execution_id": execution_id,
            "seq": last + place,
            "task_number": number,
            "kind": kind,
            "at": at,
            "detail": detail,
        }
        for place, (kind, number, detail) in enumerate(lines, 1)
    ]
    connection.execute(sa.insert(EVENTS), rows)
    return last + len(rows)
