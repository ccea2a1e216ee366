"""The statements of a commit, built from the tables, each with the row type that feeds it.

Every change names what it expects to find: a statement that touches fewer rows than it was given
means that somebody else moved first.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from cloacina.store import rows
from cloacina.store.tables import ATTEMPTS, EVENTS, EXECUTIONS, GRAPHS, TASKS

FENCE = sa.select(EXECUTIONS.c.epoch).where(
    EXECUTIONS.c.id == sa.bindparam("id"),
    EXECUTIONS.c.owner == sa.bindparam("owner"),
    EXECUTIONS.c.epoch == sa.bindparam("epoch"),
)
"""Yields a row if the execution still belongs to this owner in this epoch."""


def _insert(table: sa.Table, row: type[tuple[object, ...]]) -> sa.Insert:
    fields: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # rows are named tuples
    return sa.insert(table).values({name: sa.bindparam(name) for name in fields})


def _update(table: sa.Table, *fields: str) -> sa.Update:
    return sa.update(table).values({name: sa.bindparam(name) for name in fields})


INSERT_GRAPH = sqlite.insert(GRAPHS).on_conflict_do_nothing()
INSERT_EXECUTION = _insert(EXECUTIONS, rows.NewExecution)
INSERT_TASK = sa.insert(TASKS).values(
    {name.removeprefix("to_"): sa.bindparam(name) for name in rows.NewTask._fields}
)
INSERT_ATTEMPT = _insert(ATTEMPTS, rows.NewAttempt)
INSERT_EVENT = _insert(EVENTS, rows.NewEvent)

MOVE_TASK = (
    _update(
        TASKS,
        *("failures", "losses", "due_at", "started_at", "finished_at"),
        *("changes", "reason", "error_type", "error_message"),
    )
    .values(
        status=sa.bindparam("to_status"),
        sub_status=sa.bindparam("to_sub_status"),
        attempt=sa.bindparam("to_attempt"),
    )
    .where(
        TASKS.c.execution_id == sa.bindparam("execution_id", type_=sa.Text),
        TASKS.c.number == sa.bindparam("number", type_=sa.Integer),
        TASKS.c.status == sa.bindparam("was_status"),
        TASKS.c.attempt == sa.bindparam("was_attempt"),
    )
)
CLOSE_ATTEMPT = _update(
    ATTEMPTS, "finished_at", "outcome", "error_type", "error_message", "traceback"
).where(
    ATTEMPTS.c.execution_id == sa.bindparam("execution_id", type_=sa.Text),
    ATTEMPTS.c.task_number == sa.bindparam("task_number", type_=sa.Integer),
    ATTEMPTS.c.number == sa.bindparam("number", type_=sa.Integer),
    ATTEMPTS.c.token == sa.bindparam("token", type_=sa.Text),
    ATTEMPTS.c.outcome.is_(None),
)
MOVE_EXECUTION = (
    _update(
        EXECUTIONS,
        "stopping",
        "error_task",
        "error_type",
        "error_message",
        "finished_at",
        "event_count",
    )
    .values(status=sa.bindparam("to_status"))
    .where(
        EXECUTIONS.c.id == sa.bindparam("id", type_=sa.Text),
        EXECUTIONS.c.status == sa.bindparam("was_status"),
        EXECUTIONS.c.owner == sa.bindparam("owner", type_=sa.Text),
        EXECUTIONS.c.epoch == sa.bindparam("epoch", type_=sa.Integer),
    )
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as its driver takes it: text, and which field of a row each mark stands for."""

    text: str
    order: tuple[int, ...] | None
    """The row's fields in the order of the marks; ``None`` if they are in that order already."""

    @classmethod
    def of(
        cls, statement: sa.ClauseElement, dialect: sa.Dialect, fields: tuple[str, ...]
    ) -> "Compiled":
        """Compile ``statement``, whose parameters are exactly ``fields``."""
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - not DDL
        marks = tuple(compiled.positiontup or ())
        if sorted(marks) != sorted(fields):
            raise AssertionError(f"the statement takes {marks}, the row offers {fields}")
        order = tuple(fields.index(mark) for mark in marks)
        return cls(str(compiled), None if marks == fields else order)

    def arranged(self, given: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Return rows in the order of the marks."""
        if self.order is None:
            return given
        return [tuple(row[place] for place in self.order) for row in given]
