"""The same operations on the real SQLite store, to compare the model with."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from cloacina.model.states import Wish
from cloacina.ownership.offering import Offering
from cloacina.planner.events import StoredExecution
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.store import commands, offers, ownership, reader
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.tables import ATTEMPTS, EVENTS, EXECUTIONS, OFFERS, TASK_LOGS, TASKS
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter, Link
from simulation.shared import Accepts
from simulation.snapshot import (
    AttemptRow,
    EventRow,
    ExecutionRow,
    LogRow,
    OfferRow,
    Snapshot,
    TaskRow,
)


class RealDatabase:
    """A private SQLite database, read back through SQL."""

    def __init__(self) -> None:
        self._database = SqliteDatabase(SqliteLocation(path=None))
        self._reading = self._database.engine.connect()
        self.offers = RealOffers(self._database)

    def link(self) -> Link:
        writer = self._database.open_writer("")
        assert isinstance(writer, GroupWriter)
        return writer._link

    def slots_of_peers(self, runner_id: str) -> int:
        with self._database.engine.connect() as connection:
            slots = ownership.slots(connection)
        return sum(count for name, count in slots.items() if name != runner_id)

    def register(self, runner_id: str, at_us: int, slots: int) -> None:
        with self._database.write() as connection:
            ownership.register(
                connection, runner_id, at_us, host="simulated", process_id=0, slots=slots
            )

    def runner_ids(self) -> list[str]:
        with self._database.engine.connect() as connection:
            return sorted(ownership.runner_ids(connection))

    def release(self, gone: Iterable[str]) -> None:
        with self._database.write() as connection:
            ownership.release(connection, gone)

    def unowned(self) -> list[ownership.Unowned]:
        with self._database.engine.connect() as connection:
            return ownership.unowned(connection)

    def take_over(
        self, runner_id: str, dead: Iterable[str], accepts: Accepts
    ) -> Sequence[StoredExecution]:
        with self._database.write() as connection:
            ownership.release(connection, dead)
            claimed = ownership.claim(connection, runner_id, accepts)
            return [
                replace(
                    reader.load(connection, execution_id),
                    offers=offers.of_execution(connection, execution_id),
                )
                for execution_id in claimed
            ]

    def load(self, execution_id: str) -> StoredExecution:
        with self._database.engine.connect() as connection:
            return reader.load(connection, execution_id)

    def leave_command(self, command_id: str, execution_id: str, wish: Wish) -> None:
        with self._database.write() as connection:
            commands.leave(connection, command_id, execution_id, wish, 0)

    def open_commands(self) -> list[commands.Command]:
        with self._database.engine.connect() as connection:
            return commands.open_commands(connection)

    def close_commands(self, command_ids: Sequence[str]) -> None:
        with self._database.write() as connection:
            commands.close(connection, command_ids, 0)

    def snapshots(self) -> dict[str, Snapshot]:
        tasks = [TaskRow._make(row) for row in self._rows(TASKS, TaskRow._fields)]
        attempts = [AttemptRow._make(row) for row in self._rows(ATTEMPTS, AttemptRow._fields)]
        events = [EventRow._make(row) for row in self._rows(EVENTS, EventRow._fields)]
        logs = [LogRow._make(row) for row in self._rows(TASK_LOGS, LogRow._fields)]
        offered = [OfferRow._make(row) for row in self._rows(OFFERS, OfferRow._fields)]
        executions = [
            ExecutionRow._make(row) for row in self._rows(EXECUTIONS, ExecutionRow._fields)
        ]
        return {
            execution.id: Snapshot(
                execution,
                tuple(task for task in tasks if task.execution_id == execution.id),
                tuple(attempt for attempt in attempts if attempt.execution_id == execution.id),
                tuple(event for event in events if event.execution_id == execution.id),
                tuple(offer for offer in offered if offer.execution_id == execution.id),
                tuple(line for line in logs if line.execution_id == execution.id),
            )
            for execution in executions
        }

    def close(self) -> None:
        self._reading.close()
        self._database.close()

    def _rows(self, table: sa.Table, fields: tuple[str, ...]) -> list[tuple[object, ...]]:
        query = sa.select(*(table.c[name] for name in fields)).order_by(*table.primary_key.columns)
        found = [tuple(row) for row in self._reading.execute(query)]
        self._reading.rollback()
        return found


class RealOffers:
    """The real dealings with offers."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def claimed_from(self, owner: str) -> tuple[SeenOffer, ...]:
        with self._database.engine.connect() as connection:
            return offers.claimed_from(connection, owner)

    def guests(self, runner_id: str) -> dict[str, bool]:
        with self._database.engine.connect() as connection:
            return offers.guests(connection, runner_id)

    def open_offers(self, runner_id: str) -> list[OpenOffer]:
        with self._database.engine.connect() as connection:
            return offers.open_offers(connection, runner_id)

    def claim(
        self,
        runner_id: str,
        accepts: Callable[[OpenOffer], bool],
        new_token: Callable[[], str],
        known: Collection[str],
        at_us: int,
    ) -> Sequence[ClaimedOffer]:
        offering = Offering(self._database, runner_id, lambda: at_us)
        return offering.claim(accepts, new_token, known)

    def report(self, reports: Sequence[GuestReport], at_us: int) -> None:
        Offering(self._database, "", lambda: at_us).report(reports)
