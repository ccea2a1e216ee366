"""Give the tasks of one execution other numbers, in every table that names them.

A number may be wanted before its present owner has left it, and rows of other tables must name a
task that is there at every moment: so copies are made under numbers below zero first, what names a
task follows, and then the same is done towards the numbers that are wanted.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from cloacina.store.tables import METADATA, TASKS


def renumber(
    connection: sa.Connection, execution_id: str, moved: Mapping[int, int], removed: Iterable[int]
) -> None:
    """Move tasks from old numbers to new ones; forget those that have neither attempt nor output.

    Inside the caller's transaction, under the lock of the execution's row. What the history tells
    of a removed task stays, without a number.
    """
    of_this = TASKS.c.execution_id == execution_id
    for number in removed:
        for table in naming_tables():
            row_names = (table.c.execution_id == execution_id) & (table.c.task_number == number)
            if table.c.task_number.nullable:
                connection.execute(sa.update(table).where(row_names).values(task_number=None))
        connection.execute(sa.delete(TASKS).where(of_this, TASKS.c.number == number))
    changed = {was: now for was, now in moved.items() if was != now}
    for was in changed:
        _move(connection, execution_id, was, -1 - was)
    for was, now in changed.items():
        _move(connection, execution_id, -1 - was, now)


def naming_tables() -> list[sa.Table]:
    """Return the tables whose rows name a task by its number, now and later."""
    return [table for table in METADATA.sorted_tables if "task_number" in table.c]


def _move(connection: sa.Connection, execution_id: str, was: int, now: int) -> None:
    row = (TASKS.c.execution_id == execution_id) & (TASKS.c.number == was)
    names = [column.name for column in TASKS.c]
    values = [sa.literal(now) if name == "number" else TASKS.c[name] for name in names]
    copy = sa.select(*values).where(row)
    connection.execute(sa.insert(TASKS).from_select(names, copy, include_defaults=False))
    for table in naming_tables():
        connection.execute(
            sa.update(table)
            .where(table.c.execution_id == execution_id, table.c.task_number == was)
            .values(task_number=now)
        )
    connection.execute(sa.delete(TASKS).where(row))
