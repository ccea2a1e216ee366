"""Read a SQLite file without being a runner on it: nothing is created or changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import NullPool

from cloacina.errors import DatabaseMissingError, EngineError, InvalidUrlError
from cloacina.store.url import SqliteLocation

_PATIENCE_S: Final = 10.0
_UNWRITABLE: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""How SQLite says that it cannot make the index of the journal, which even reading needs."""


class SqliteLook:
    """A file opened for reading; for one thread."""

    def __init__(self, location: SqliteLocation) -> None:
        """Open the file at ``location``, whose mode does not matter.

        Raises:
            DatabaseMissingError: if there is no such file.
            InvalidUrlError: if it is a directory.
        """
        if location.path is None or not location.path.exists():
            raise DatabaseMissingError(location.path)
        self._path = location.path.absolute()
        if self._path.is_dir():
            raise InvalidUrlError(str(self._path), "names a directory, not a file in one")
        self._engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one consistent state.

        Raises:
            EngineError: if the file cannot be read, or is no database.
        """
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection
        except exc.DatabaseError as error:
            raise EngineError(f"cannot read the database {self._path}: {error.orig}") from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        connection = self._open("mode=ro")
        try:
            connection.execute("SELECT 1 FROM sqlite_schema")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _UNWRITABLE or self._is_in_use():
                return connection  # whoever reads is told
            connection.close()
            return self._open("mode=ro&immutable=1")
        return connection

    def _is_in_use(self) -> bool:
        """Whether there is anything in the file's journal, or somebody who may write some."""
        return any(self._path.with_name(f"{self._path.name}{e}").exists() for e in ("-wal", "-shm"))

    def _open(self, query: str) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.as_uri()}?{query}", uri=True, timeout=_PATIENCE_S)
