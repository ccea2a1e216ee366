"""The real SQLite store and the real ``FileNeighbours``, with locks that are really taken."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cloacina.ownership.file_neighbours import FileNeighbours
from cloacina.ownership.neighbours import Neighbours
from cloacina.ownership.watch import Watch
from cloacina.store.batch import Batch
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter, Link
from simulation.real import GatedDatabase, RealDatabase, in_earnest
from simulation.scenario import Liveness
from simulation.shared import LosingLink

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

    from simulation.gate import Gate
    from simulation.runner import SimulatedRunner


class _Backwards(SqliteDatabase):
    """Returns rows that no statement puts in order in another order than they usually have."""

    def _prepare(self, connection: object, entry: "ConnectionPoolEntry | None") -> None:
        super()._prepare(connection, entry)
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("PRAGMA reverse_unordered_selects = ON")


class SqliteFile(RealDatabase):
    """A private SQLite database."""

    def __init__(self, liveness: Liveness) -> None:
        assert liveness is Liveness.LOCKS
        self._file = _Backwards(SqliteLocation(path=None))
        self._members: dict[str, _SimulatedFileNeighbours] = {}
        super().__init__(self._file)

    def link(self, runner_id: str) -> LosingLink:
        writer = self._file.open_writer(runner_id)
        assert isinstance(writer, GroupWriter)
        return _AnsweringLink(writer._link)

    def neighbours(self, runner: "SimulatedRunner") -> Neighbours:
        found = _SimulatedFileNeighbours(_GatedFile(self._file, runner.gate), runner)
        self._members[runner.id] = found
        found.join(runner.now().utc_us, runner.bell.ring_all, slots=runner.slots)
        return found

    def silence(self, runner_id: str, *, is_dead: bool) -> None:
        presence = self._members[runner_id]._presence
        if is_dead:
            if presence._is_open:
                presence._drop()  # as the kernel does when a process ends
        else:  # somebody tidied up where he should not have
            Path(presence.directory, f"{runner_id}.lock").unlink(missing_ok=True)

    def renew(self, runner_id: str) -> bool:
        raise AssertionError(f"{runner_id} has no lease")

    def close(self) -> None:
        for member in self._members.values():
            member._presence.close()
        self._reading.close()
        self._file.close()


class _GatedFile(GatedDatabase):
    def __init__(self, inner: SqliteDatabase, gate: "Gate") -> None:
        super().__init__(inner, gate)
        self.path, self.sidecar = inner.path, inner.sidecar


class _SimulatedFileNeighbours(FileNeighbours):
    """The real thing without the thread that listens: the world rings."""

    def __init__(self, database: GatedDatabase, runner: "SimulatedRunner") -> None:
        self._bell = runner.bell
        super().__init__(
            cast("SqliteDatabase", database),
            runner.id,
            runner.accepts,
            lambda: runner.now().utc_us,
        )

    def _begin_to_watch(self) -> Watch:
        return cast("Watch", self._bell)


class _AnsweringLink:
    """A file has no answers to lose."""

    def __init__(self, inner: Link) -> None:
        self._inner = inner

    def write(self, batch: Batch) -> None:
        with in_earnest():
            self._inner.write(batch)

    def close(self) -> None:
        self._inner.close()

    def lose_answer(self) -> None:
        raise AssertionError("a file answers")
