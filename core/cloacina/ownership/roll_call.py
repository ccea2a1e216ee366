"""Look at a database and at who runs on it, without being one of them: nothing is changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloacina.ownership.presence import is_listening
from cloacina.store import census, ownership, reader
from cloacina.store.schema import HEAD, current_revision, is_known
from cloacina.store.sqlite import sidecar_of
from cloacina.store.url import Location, SqliteLocation
from cloacina.store.viewer import look_at


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSeen:
    """A registered runner.

    Attributes:
        is_alive: on SQLite whether its process listens, on PostgreSQL whether its lease is valid.
            One that is not is struck out by the next runner that looks around.
    """

    id: str
    host: str
    process_id: int
    started_at: str
    is_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """How a database stands.

    Attributes:
        revision: of the tables; ``None`` if there are none.
        head: the revision that this version of the library works with.
        is_newer: whether a newer version of the library wrote the tables.
        size_bytes: of the file with its journal, or of the tables and their indexes.
        executions: how many stand where; empty unless ``revision`` is ``head``.
        runners: that registered; empty unless ``revision`` is ``head``.
    """

    revision: str | None
    head: str
    is_newer: bool
    size_bytes: int
    executions: Mapping[str, int] = field(default_factory=dict)
    runners: Sequence[RunnerSeen] = ()


def call_the_roll(location: Location) -> DatabaseStatus:
    """Look at the database at ``location``.

    Raises:
        DatabaseMissingError: if there is none.
        EngineError: if it cannot be read.
    """
    look = look_at(location)
    try:
        with look.read() as connection:
            revision = current_revision(connection)
            path = location.path if isinstance(location, SqliteLocation) else None
            size = census.size_of_tables(connection) if path is None else _size_of_file(path)
            if revision != HEAD:
                is_newer = revision is not None and not is_known(revision)
                return DatabaseStatus(
                    revision=revision, head=HEAD, is_newer=is_newer, size_bytes=size
                )
            is_alive = _by_lease(connection) if path is None else _by_bell(path)
            return DatabaseStatus(
                revision=revision,
                head=HEAD,
                is_newer=False,
                size_bytes=size,
                executions=census.count_by_status(connection),
                runners=[
                    RunnerSeen(
                        id=row.id,
                        host=row.host,
                        process_id=row.process_id,
                        started_at=row.started_at,
                        is_alive=is_alive(row.id),
                    )
                    for row in census.runners(connection)
                ],
            )
    finally:
        look.close()


def _by_lease(connection: reader.Connection) -> Callable[[str], bool]:
    found = ownership.leases(connection)
    alive = {runner_id for runner_id, lease in found.items() if not lease.is_overdue}
    return lambda runner_id: runner_id in alive


def _by_bell(path: Path) -> Callable[[str], bool]:
    directory = sidecar_of(path.absolute())
    return lambda runner_id: is_listening(directory, runner_id)


def _size_of_file(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(each.stat().st_size for each in files if each.exists())
