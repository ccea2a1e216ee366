"""Remove executions that ended long ago, with everything that belongs to them.

Rules it upholds:

* an execution that has not ended, or ended too lately, is never touched: each transaction looks
  again, and holds the rows of those that it removes;
* a transaction removes a bounded number of rows, so that nobody waits long for it. What does not
  fit loses its history first; its tasks go together with the execution itself, so that whatever
  can be found can be read;
* what belongs to an execution is what names it: every table with such a column, now and later;
* a graph goes when no execution names it. Whoever is about to name it again wins.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from cloacina.errors import EngineError
from cloacina.store.contract import Database
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES, GRAPHS, METADATA, TASKS
from cloacina.store.timestamps import to_text

ROWS_AT_ONCE: Final = 1_000
"""About how many rows one transaction removes."""
_EXECUTIONS_AT_ONCE: Final = 100


class _Old(NamedTuple):
    """An execution that may be removed."""

    id: str
    event_count: int
    graph_digest: str


def prune(database: Database, before_us: int, *, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Remove the executions that ended before a moment; return how many were removed.

    Safe beside runners and other calls of this function, on both databases.

    Args:
        database: an open database.
        before_us: microseconds since the epoch, UTC.
        goes_on: asked after each transaction; it may wait, and ends the work with ``False``.

    Raises:
        StoreUnavailableError: if the database cannot be used now; what was removed stays so.
    """
    before = to_text(before_us)
    removed = 0
    graphs: set[str] = set()
    while old := _find_old(database, before):
        gone = 0
        for group in _groups(old):
            done = False
            while not done:
                with database.write() as connection:
                    ids, done = _remove(connection, [each.id for each in group], before)
                gone += len(ids)
                graphs |= {each.graph_digest for each in group if each.id in ids}
                if not goes_on():
                    return removed + gone
        removed += gone
        if not gone:
            break  # others hold what is left: they are removing it
    for digest in sorted(graphs):
        _remove_graph(database, digest)
        if not goes_on():
            break
    return removed


@cache
def belonging() -> tuple[tuple[sa.Table, sa.Column[str]], ...]:
    """Return the tables whose rows belong to an execution, and the column that names it.

    In an order in which foreign keys let them go; without the tasks and the execution itself.
    """
    found = ((table, naming_column(table)) for table in reversed(METADATA.sorted_tables))
    return tuple(
        (table, column)
        for table, column in found
        if column is not None and table not in {EXECUTIONS, TASKS}
    )


def naming_column(table: sa.Table) -> sa.Column[str] | None:
    """Return the column of a table that names an execution, if it has one."""
    for key in table.foreign_keys:
        if key.column is EXECUTIONS.c.id:
            return key.parent
    return table.c.get("execution_id")


def _is_old(before: str) -> sa.ColumnElement[bool]:
    columns = EXECUTIONS.c
    # created earlier still: that column has an index
    is_before = sa.and_(columns.created_at < before, columns.finished_at < before)
    return sa.and_(columns.status.in_(FINAL_STATUSES), is_before)


def _find_old(database: Database, before: str) -> list[_Old]:
    columns = EXECUTIONS.c
    query = (
        sa.select(columns.id, columns.event_count, columns.graph_digest)
        .where(_is_old(before))
        .order_by(columns.created_at)
        .limit(_EXECUTIONS_AT_ONCE)
    )
    with database.read() as connection:
        return [_Old(*row) for row in connection.execute(query).all()]


def _groups(old: Sequence[_Old]) -> Iterator[list[_Old]]:
    """Divide executions so that each group has few rows, or is one execution that has many."""
    group: list[_Old] = []
    rows = 0
    for each in old:
        if group and rows + each.event_count > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(each)
        rows += each.event_count
    yield group


def _remove(
    connection: sa.Connection, ids: Sequence[str], before: str
) -> tuple[frozenset[str], bool]:
    """Remove a part of some executions; return which are gone, and whether nothing is left to do."""
    locked = (
        sa.select(EXECUTIONS.c.id)
        .where(EXECUTIONS.c.id.in_(ids), _is_old(before))
        .with_for_update(skip_locked=True)
    )
    held = list(connection.execute(locked).scalars())
    if not held:
        return frozenset(), True
    room = ROWS_AT_ONCE
    for table, column in belonging():
        room -= _remove_rows(connection, table, column.in_(held), room)
        if room <= 0:
            return frozenset(), False
    connection.execute(sa.delete(TASKS).where(TASKS.c.execution_id.in_(held)))
    connection.execute(sa.delete(EXECUTIONS).where(EXECUTIONS.c.id.in_(held)))
    return frozenset(held), True


def _remove_rows(
    connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], most: int
) -> int:
    keys = list(table.primary_key.columns)
    some = sa.select(*keys).where(which).limit(most)
    return connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(some))).rowcount


def _remove_graph(database: Database, digest: str) -> None:
    is_named = sa.exists().where(EXECUTIONS.c.graph_digest == digest)
    try:
        with database.write() as connection:
            connection.execute(sa.delete(GRAPHS).where(GRAPHS.c.digest == digest, ~is_named))
    except EngineError as error:
        if not isinstance(error.__cause__, exc.IntegrityError):
            raise
        # a submission that was under way when we looked names it now: it stays
