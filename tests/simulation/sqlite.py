"""The same operations on the real SQLite store, to compare the model with."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from cloacina.model.states import Wish
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import StoredExecution
from cloacina.store import commands, limits, ownership, reader
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.tables import ATTEMPTS, EVENTS, EXECUTIONS, TASKS
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter, Link
from simulation.shared import Accepts
from simulation.snapshot import AttemptRow, EventRow, ExecutionRow, Snapshot, TaskRow


class RealDatabase:
    """A private SQLite database, read back through SQL."""

    def __init__(self) -> None:
        self._database = SqliteDatabase(SqliteLocation(path=None))
        self._reading = self._database.engine.connect()

    def link(self) -> Link:
        writer = self._database.open_writer("")
        assert isinstance(writer, GroupWriter)
        return writer._link

    def register(self, runner_id: str, at_us: int) -> None:
        with self._database.write() as connection:
            ownership.register(connection, runner_id, at_us, host="simulated", process_id=0)

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
            return [reader.load(connection, execution_id) for execution_id in claimed]

    def load(self, execution_id: str) -> StoredExecution:
        with self._database.engine.connect() as connection:
            return reader.load(connection, execution_id)

    def taken(self, question: Question) -> Taken:
        with self._database.engine.connect() as connection:
            return limits.taken(connection, question)

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
        executions = [
            ExecutionRow._make(row) for row in self._rows(EXECUTIONS, ExecutionRow._fields)
        ]
        return {
            execution.id: Snapshot(
                execution,
                tuple(task for task in tasks if task.execution_id == execution.id),
                tuple(attempt for attempt in attempts if attempt.execution_id == execution.id),
                tuple(event for event in events if event.execution_id == execution.id),
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
