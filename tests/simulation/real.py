"""Real databases in place of the model, with the real neighbours, behind the same gates."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from cloacina.errors import StoreUnavailableError
from cloacina.planner.events import Requested
from cloacina.store import commands, ownership
from cloacina.store.contract import Database
from cloacina.store.tables import (
    ATTEMPTS,
    EVENTS,
    EXECUTIONS,
    OFFERS,
    SENT_EVENTS,
    TASK_LOGS,
    TASKS,
)
from simulation.log import ViolationError
from simulation.snapshot import (
    AttemptRow,
    EventRow,
    ExecutionRow,
    LogRow,
    OfferRow,
    SentRow,
    Snapshot,
    TaskRow,
)

if TYPE_CHECKING:
    from simulation.gate import Gate


class Engined(Database, Protocol):
    """A real database of either kind."""

    @property
    def engine(self) -> sa.Engine: ...


@contextmanager
def in_earnest() -> Iterator[None]:
    """Do something on the real database, whose own troubles must not pass for simulated ones.

    Raises:
        ViolationError: if it is not available, which only the world may say.
    """
    try:
        yield
    except StoreUnavailableError as error:
        raise ViolationError(f"the real database is not available: {error}") from error


class GatedDatabase:
    """Transactions that pass a gate."""

    def __init__(self, inner: Engined, gate: "Gate") -> None:
        self._inner = inner
        self._gate = gate

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        self._gate.before_read()
        with in_earnest(), self._inner.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        with self._gate.transaction(), in_earnest(), self._inner.write() as connection:
            yield connection


class RealDatabase:
    """What does not depend on which database it is; read back through SQL."""

    def __init__(self, database: Engined) -> None:
        self._database = database
        self._reading = database.engine.connect()

    def runner_ids(self) -> set[str]:
        found = set(ownership.runner_ids(self._reading))
        self._reading.rollback()
        return found

    def leave_command(self, command: Requested) -> None:
        with self._database.write() as connection:
            commands.leave(connection, command, 0)

    def snapshots(self) -> dict[str, Snapshot]:
        tasks = [TaskRow._make(row) for row in self._rows(TASKS, TaskRow._fields)]
        attempts = [AttemptRow._make(row) for row in self._rows(ATTEMPTS, AttemptRow._fields)]
        events = [EventRow._make(row) for row in self._rows(EVENTS, EventRow._fields)]
        offered = [OfferRow._make(row) for row in self._rows(OFFERS, OfferRow._fields)]
        logs = [LogRow._make(row) for row in self._rows(TASK_LOGS, LogRow._fields)]
        sent = [SentRow._make(row) for row in self._rows(SENT_EVENTS, SentRow._fields)]
        executions = [
            ExecutionRow._make(row) for row in self._rows(EXECUTIONS, ExecutionRow._fields)
        ]
        self._reading.rollback()
        return {
            execution.id: Snapshot(
                execution,
                tuple(task for task in tasks if task.execution_id == execution.id),
                tuple(attempt for attempt in attempts if attempt.execution_id == execution.id),
                tuple(event for event in events if event.execution_id == execution.id),
                tuple(offer for offer in offered if offer.execution_id == execution.id),
                tuple(line for line in logs if line.execution_id == execution.id),
                tuple(event for event in sent if event.execution_id == execution.id),
            )
            for execution in executions
        }

    def _rows(self, table: sa.Table, fields: tuple[str, ...]) -> list[tuple[object, ...]]:
        query = sa.select(*(table.c[name] for name in fields)).order_by(*table.primary_key.columns)
        return [tuple(row) for row in self._reading.execute(query)]
