"""Count what is in a database: executions by status, its size, the runners that registered."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cloacina.store.schema import schema_of
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES, METADATA, RUNNERS, VERSION_TABLE
from cloacina.store.timestamps import to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRow:
    """A runner that registered and was neither released nor found dead."""

    id: str
    host: str
    process_id: int
    started_at: str


def count_by_status(connection: sa.Connection) -> Mapping[str, int]:
    """Return how many executions stand where, but for where none stands."""
    status = EXECUTIONS.c.status
    query = sa.select(status, sa.func.count()).group_by(status).order_by(status)
    return {row[0]: row[1] for row in connection.execute(query)}


def count_ended_before(connection: sa.Connection, before_us: int) -> int:
    """Return how many executions ended before a moment in microseconds since the epoch."""
    columns = EXECUTIONS.c
    is_old = columns.finished_at < to_text(before_us)
    query = sa.select(sa.func.count()).where(columns.status.in_(FINAL_STATUSES), is_old)
    return connection.execute(query).scalar_one()


def runners(connection: sa.Connection) -> list[RunnerRow]:
    """Return the registered runners, those that began first first."""
    columns = RUNNERS.c
    query = sa.select(columns.id, columns.host, columns.process_id, columns.started_at)
    rows = connection.execute(query.order_by(columns.id)).mappings().all()
    return [RunnerRow(**row) for row in rows]


def size_of_tables(connection: sa.Connection) -> int:
    """Return the bytes that our tables take in a PostgreSQL database, indexes included."""
    names = [*METADATA.tables, VERSION_TABLE]
    query = sa.text(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = :schema AND c.relkind = 'r' AND c.relname = ANY(:names)"
    )
    found = connection.execute(query, {"schema": schema_of(connection), "names": names})
    return int(found.scalar_one())
