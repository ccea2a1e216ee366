"""The statements of a commit, built from the tables, each with the row type that feeds it.

Every change names what it expects to find: a statement that touches fewer rows than it was given
means that somebody else moved first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloacina.planner.offered import SeenOffer
from cloacina.store.rows.attempt import AttemptClose, NewAttempt
from cloacina.store.rows.execution import ExecutionMove, GraphRow, NewExecution
from cloacina.store.rows.history import NewEvent
from cloacina.store.rows.log import NewLogLine
from cloacina.store.rows.memory import MemoryRow, NewSentEvent
from cloacina.store.rows.offer import NewOffer, OfferSettlement, OfferStop, OfferWithdrawal
from cloacina.store.rows.reply import CommandReply
from cloacina.store.rows.task import NewTask, TaskMove
from cloacina.store.tables import (
    ATTEMPTS,
    COMMANDS,
    EVENTS,
    EXECUTIONS,
    GRAPHS,
    OFFERS,
    SENT_EVENTS,
    TASK_LOGS,
    TASKS,
)
from cloacina.store.timestamps import from_text

Row = tuple[object, ...]
Schemas = Mapping[str | None, str]
"""``schema_translate_map``: what stands for the tables' schema, which is ``None``."""

FENCE = sa.select(EXECUTIONS.c.epoch).where(
    EXECUTIONS.c.id == sa.bindparam("id"),
    EXECUTIONS.c.owner == sa.bindparam("owner"),
    EXECUTIONS.c.epoch == sa.bindparam("epoch"),
)
"""Yields a row if the execution still belongs to this owner in this epoch."""


def _fields(row: type[Row]) -> tuple[str, ...]:
    fields: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # rows are named tuples
    return fields


def _insert(table: sa.Table, row: type[Row]) -> sa.Insert:
    fields = _fields(row)
    return sa.insert(table).values({name: sa.bindparam(name) for name in fields})


def _update(table: sa.Table, *fields: str) -> sa.Update:
    return sa.update(table).values({name: sa.bindparam(name) for name in fields})


INSERT_EXECUTION = _insert(EXECUTIONS, NewExecution)
INSERT_TASK = sa.insert(TASKS).values(
    {name.removeprefix("to_"): sa.bindparam(name) for name in NewTask._fields}
)
INSERT_ATTEMPT = _insert(ATTEMPTS, NewAttempt)
INSERT_LOG_LINE = _insert(TASK_LOGS, NewLogLine)
INSERT_EVENT = _insert(EVENTS, NewEvent)
INSERT_OFFER = _insert(OFFERS, NewOffer)
INSERT_SENT_EVENT = _insert(SENT_EVENTS, NewSentEvent)

_THIS_OFFER = sa.and_(
    OFFERS.c.execution_id == sa.bindparam("execution_id", type_=sa.Text),
    OFFERS.c.task_number == sa.bindparam("task_number", type_=sa.Integer),
    OFFERS.c.attempt == sa.bindparam("attempt", type_=sa.Integer),
)
_THIS_CLAIM = sa.and_(_THIS_OFFER, OFFERS.c.token == sa.bindparam("token", type_=sa.Text))
WITHDRAW_OFFER = sa.delete(OFFERS).where(_THIS_OFFER, OFFERS.c.claimed_by.is_(None))
STOP_OFFER = _update(OFFERS, "stop_asked_at").where(_THIS_CLAIM)
SETTLE_OFFER = sa.delete(OFFERS).where(_THIS_CLAIM)
CLAIM_OF_OFFER = sa.select(
    *(OFFERS.c.execution_id, OFFERS.c.task_number, OFFERS.c.attempt),
    *(OFFERS.c.claimed_by, OFFERS.c.token, OFFERS.c.claimed_at),
).where(_THIS_OFFER, OFFERS.c.claimed_by.is_not(None))
"""Yields the claim of an offer that could not be withdrawn."""

MOVE_TASK = (
    _update(
        TASKS,
        *("failures", "losses", "due_at", "started_at", "finished_at"),
        *("changes", "reason", "error_type", "error_message", "elements", "first_element"),
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
KEEP_MEMORY = _update(TASKS, "waits", "checkpoint").where(
    TASKS.c.execution_id == sa.bindparam("execution_id", type_=sa.Text),
    TASKS.c.number == sa.bindparam("number", type_=sa.Integer),
    TASKS.c.attempt == sa.bindparam("attempt", type_=sa.Integer),
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
        "started_at",
        "finished_at",
        "event_count",
        "priority",
        "waited_us",
        "waits_since",
    )
    .values(status=sa.bindparam("to_status"))
    .where(
        EXECUTIONS.c.id == sa.bindparam("id", type_=sa.Text),
        EXECUTIONS.c.status == sa.bindparam("was_status"),
        EXECUTIONS.c.owner == sa.bindparam("owner", type_=sa.Text),
        EXECUTIONS.c.epoch == sa.bindparam("epoch", type_=sa.Integer),
    )
)

ANSWER_COMMAND = _update(COMMANDS, "answered_at", "answer", "detail").where(
    COMMANDS.c.id == sa.bindparam("id", type_=sa.Text), COMMANDS.c.answered_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as its driver takes it: text, and which field of a row each mark stands for."""

    text: str
    order: tuple[int, ...] | None
    """The row's fields in the order of the marks; ``None`` if they are in that order already."""

    @property
    def query(self) -> bytes:
        """The text, for a driver that asks for the bytes."""
        return self.text.encode()

    @classmethod
    def of(
        cls,
        statement: sa.ClauseElement,
        dialect: sa.Dialect,
        fields: tuple[str, ...],
        schemas: Schemas | None = None,
    ) -> "Compiled":
        """Compile ``statement``, whose parameters are exactly ``fields``.

        The dialect's marks must be positional.
        """
        compiled = statement.compile(
            dialect=dialect, schema_translate_map=schemas, render_schema_translate=bool(schemas)
        )
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - not DDL
        marks = tuple(compiled.positiontup or ())
        if sorted(marks) != sorted(fields):
            raise AssertionError(f"the statement takes {marks}, the row offers {fields}")
        order = tuple(fields.index(mark) for mark in marks)
        return cls(str(compiled), None if marks == fields else order)

    def arranged(self, given: list[Row]) -> list[Row]:
        """Return rows in the order of the marks."""
        if self.order is None:
            return given
        return [tuple(row[place] for place in self.order) for row in given]


def seen_claim(row: Row) -> SeenOffer:
    """Return what a row of ``CLAIM_OF_OFFER`` says."""
    execution_id, task_number, attempt, runner, token, claimed_at = row
    assert isinstance(task_number, int) and isinstance(attempt, int)  # noqa: S101, PT018 - columns
    return SeenOffer(
        execution_id=str(execution_id),
        task_number=task_number,
        attempt=attempt,
        runner=str(runner),
        token=str(token),
        claimed_at_us=from_text(str(claimed_at)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement of a commit, for the rows of one kind."""

    kind: str
    """The key of its rows in a batch."""
    compiled: Compiled
    must_hit: bool
    """Whether each row must change something that is there."""


_STEPS: tuple[tuple[str, sa.ClauseElement, type[Row], bool], ...] = (
    # in the order in which foreign keys allow them, after the graphs
    ("executions", INSERT_EXECUTION, NewExecution, False),
    ("tasks", INSERT_TASK, NewTask, False),
    ("offer_withdrawals", WITHDRAW_OFFER, OfferWithdrawal, True),
    ("offer_stops", STOP_OFFER, OfferStop, True),
    ("offer_settlements", SETTLE_OFFER, OfferSettlement, True),
    ("task_moves", MOVE_TASK, TaskMove, True),
    ("memories", KEEP_MEMORY, MemoryRow, True),
    ("attempts", INSERT_ATTEMPT, NewAttempt, False),
    ("attempt_closes", CLOSE_ATTEMPT, AttemptClose, True),
    ("offers", INSERT_OFFER, NewOffer, False),
    ("execution_moves", MOVE_EXECUTION, ExecutionMove, True),
    ("sent_events", INSERT_SENT_EVENT, NewSentEvent, False),
    ("logs", INSERT_LOG_LINE, NewLogLine, False),
    ("events", INSERT_EVENT, NewEvent, False),
    ("replies", ANSWER_COMMAND, CommandReply, False),
)


def _insert_graph(dialect: sa.Dialect) -> sa.Insert:
    if dialect.name == "postgresql":
        return postgresql.insert(GRAPHS).on_conflict_do_nothing()
    return sqlite.insert(GRAPHS).on_conflict_do_nothing()


def steps(dialect: sa.Dialect, schemas: Schemas | None = None) -> tuple[Step, ...]:
    """Return the statements of a commit, as ``dialect``'s driver takes them, in their order."""
    graphs = ("graphs", _insert_graph(dialect), GraphRow, False)
    return tuple(
        Step(
            kind=kind,
            compiled=Compiled.of(statement, dialect, _fields(row), schemas),
            must_hit=must_hit,
        )
        for kind, statement, row, must_hit in (graphs, *_STEPS)
    )
