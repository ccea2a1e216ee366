"""Read who has an execution."""

from dataclasses import dataclass

import sqlalchemy as sa

from cloacina.store.tables import EXECUTIONS, RUNNERS


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOwner:
    """A registered runner that has an execution."""

    runner_id: str
    host: str
    process_id: int
    is_overdue: bool
    """Whether it has a lease that ran out; on SQLite, where there are none, a lock says more."""


def owner_of(connection: sa.Connection, execution_id: str) -> StoredOwner | None:
    """Return who has an execution; ``None`` if nobody has, or it does not exist."""
    columns = RUNNERS.c
    is_overdue = columns.lease_until.is_not(None) & (columns.lease_until < sa.func.now())
    query = (
        sa.select(columns.id, columns.host, columns.process_id, is_overdue.label("is_overdue"))
        .join(EXECUTIONS, EXECUTIONS.c.owner == columns.id)
        .where(EXECUTIONS.c.id == execution_id)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return StoredOwner(
        runner_id=row["id"],
        host=row["host"],
        process_id=row["process_id"],
        is_overdue=bool(row["is_overdue"]),
    )
