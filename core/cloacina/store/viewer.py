"""Look at a database without being a runner on it: nothing is created, claimed or changed.

Every call reads one consistent state; nothing waits for a writer.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import NullPool

from cloacina.errors import (
    AmbiguousExecutionIdError,
    DatabaseMissingError,
    EngineError,
    ExecutionNotFoundError,
)
from cloacina.planner.events import StoredExecution
from cloacina.store import reader
from cloacina.store.schema import HEAD, current_revision
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES
from cloacina.store.url import SqliteLocation

_PATIENCE_S = 10.0


class Viewer:
    """A SQLite database opened for reading; a context manager, for one thread."""

    def __init__(self, location: SqliteLocation) -> None:
        """Open the file at ``location``, whose mode does not matter.

        Raises:
            DatabaseMissingError: if there is no such file.
            EngineError: if it cannot be read, is no database of ours, or one of another revision.
        """
        if location.path is None or not location.path.exists():
            raise DatabaseMissingError(location.path)
        self.path = location.path.absolute()
        self._engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        with self._reading() as connection:
            found = current_revision(connection)
        if found is None:
            raise EngineError(f"the file {self.path} is not a database of cloacina")
        if found != HEAD:
            raise EngineError(
                f"the database {self.path} has schema revision {found!r}, and {HEAD!r} is needed to "
                "look at it; run a workflow on it to upgrade it, or upgrade cloacina"
            )

    def summaries(
        self, *, status: str | None, workflow: str | None, limit: int
    ) -> list[reader.ExecutionSummary]:
        """Return the newest executions, newest first."""
        with self._reading() as connection:
            return list(reader.summaries(connection, status=status, workflow=workflow, limit=limit))

    def find(self, prefix: str) -> StoredExecution:
        """Return the execution whose id is, or alone begins with, ``prefix``.

        Raises:
            ExecutionNotFoundError: if there is none.
            AmbiguousExecutionIdError: if there are several.
        """
        ids = EXECUTIONS.c.id
        query = sa.select(ids).where(ids.startswith(prefix, autoescape=True)).order_by(ids).limit(5)
        with self._reading() as connection:
            found = list(connection.execute(query).scalars())
            if not found:
                raise ExecutionNotFoundError(prefix)
            if len(found) > 1:
                raise AmbiguousExecutionIdError(prefix, found)
            return reader.load(connection, found[0])

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
        with self._reading() as connection:
            ids = list(connection.execute(query).scalars())
            return [reader.load(connection, execution_id) for execution_id in ids]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection
        except exc.DatabaseError as error:
            raise EngineError(f"cannot read the database {self.path}: {error.orig}") from error
