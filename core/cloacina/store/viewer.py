"""Look at a database without being a runner on it: nothing is created, claimed or changed.

Every call reads one consistent state; nothing waits for a writer.
"""

from contextlib import AbstractContextManager
from typing import Protocol, Self, assert_never

import sqlalchemy as sa

from cloacina.errors import (
    AmbiguousExecutionIdError,
    EngineError,
    ExecutionNotFoundError,
)
from cloacina.planner.events import StoredExecution
from cloacina.store import census, limits, reader
from cloacina.store.drivers import require_psycopg
from cloacina.store.events import Page, read_events
from cloacina.store.log_reader import TaskLog, task_logs
from cloacina.store.owner import StoredOwner, owner_of
from cloacina.store.schema import HEAD, current_revision
from cloacina.store.sqlite_look import SqliteLook
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES
from cloacina.store.url import Location, PostgresLocation, SqliteLocation


class Look(Protocol):
    """A database opened for reading."""

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that sees one consistent state.

        Raises:
            EngineError: if it cannot be read.
        """
        ...

    def close(self) -> None:
        """Close every connection."""


def look_at(location: Location) -> Look:
    """Open a database for reading, whatever revision it has.

    Raises:
        DatabaseMissingError: if there is no such file.
        InvalidUrlError: if libpq cannot read the URL.
        MissingDriverError: if the driver for the database is not installed.
    """
    match location:
        case SqliteLocation():
            return SqliteLook(location)
        case PostgresLocation():
            require_psycopg()
            from cloacina.store.postgres_access import PostgresAccess  # noqa: PLC0415 - its driver is an extra

            return PostgresAccess(location, pool_size=1)
        case _:
            assert_never(location)


class Viewer:
    """A database opened for reading; a context manager, for one thread."""

    def __init__(self, location: Location) -> None:
        """Open what is at ``location``; the mode of a SQLite URL does not matter.

        Raises:
            DatabaseMissingError: if there is no such file.
            EngineError: if it cannot be read, is no database of ours, or one of another revision.
        """
        self._look = look_at(location)
        try:
            with self._look.read() as connection:
                _check_revision(current_revision(connection), location)
        except EngineError:
            self._look.close()
            raise

    def summaries(
        self, *, status: str | None, workflow: str | None, limit: int
    ) -> list[reader.ExecutionSummary]:
        """Return the newest executions, newest first."""
        with self._look.read() as connection:
            return list(reader.summaries(connection, status=status, workflow=workflow, limit=limit))

    def find(self, prefix: str) -> StoredExecution:
        """Return the execution whose id is, or alone begins with, ``prefix``.

        Raises:
            ExecutionNotFoundError: if there is none.
            AmbiguousExecutionIdError: if there are several.
        """
        with self._look.read() as connection:
            return reader.load(connection, _id_of(connection, prefix))

    def logs(self, prefix: str, task: str | None, attempt: int | None) -> list[TaskLog]:
        """Return what the attempts of an execution said, in order (see ``task_logs``).

        Raises:
            ExecutionNotFoundError: if there is none whose id begins with ``prefix``.
            AmbiguousExecutionIdError: if there are several.
            TaskNotFoundError: if it has no task with that id.
        """
        with self._look.read() as connection:
            return task_logs(connection, _id_of(connection, prefix), task, attempt)

    def owner(self, execution_id: str) -> StoredOwner | None:
        """Return who has an execution."""
        with self._look.read() as connection:
            return owner_of(connection, execution_id)

    def used_up(self, stored: StoredExecution, utc_us: int) -> dict[int, tuple[str, str]]:
        """Return which limits are used up that tasks of an execution have; see ``limits``."""
        with self._look.read() as connection:
            return limits.used_up(connection, stored, utc_us)

    def count_ended_before(self, before_us: int) -> int:
        """Return how many executions ended before a moment in microseconds since the epoch."""
        with self._look.read() as connection:
            return census.count_ended_before(connection, before_us)

    def unfinished(self, package_digest: str) -> list[StoredExecution]:
        """Return the executions of a package that have not ended, oldest first."""
        query = (
            sa.select(EXECUTIONS.c.id)
            .where(
                EXECUTIONS.c.package_digest == package_digest,
                EXECUTIONS.c.status.not_in(FINAL_STATUSES),
            )
            .order_by(EXECUTIONS.c.id)
        )
        with self._look.read() as connection:
            ids = list(connection.execute(query).scalars())
            return [reader.load(connection, execution_id) for execution_id in ids]

    def events(self, execution_id: str, after: int) -> Page:
        """Return the events of an execution that follow a sequence.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._look.read() as connection:
            return read_events(connection, execution_id, after)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._look.close()


def _id_of(connection: sa.Connection, prefix: str) -> str:
    ids = EXECUTIONS.c.id
    query = sa.select(ids).where(ids.startswith(prefix, autoescape=True)).order_by(ids).limit(5)
    found: list[str] = list(connection.execute(query).scalars())
    if not found:
        raise ExecutionNotFoundError(prefix)
    if len(found) > 1:
        raise AmbiguousExecutionIdError(prefix, found)
    return found[0]


def _check_revision(found: str | None, location: Location) -> None:
    if found == HEAD:
        return
    if found is not None:
        raise EngineError(
            f"the database {location.shown} has schema revision {found!r}, and {HEAD!r} is needed "
            "to look at it; 'cloacina-ctl db migrate' upgrades an older one, else upgrade cloacina"
        )
    if isinstance(location, PostgresLocation):
        raise EngineError(
            f"the schema {location.schema!r} of {location.shown} has no tables of cloacina yet; "
            "run a workflow there first, or 'cloacina-ctl db migrate', or name another --schema"
        )
    raise EngineError(f"the file {location.shown} is not a database of cloacina")
