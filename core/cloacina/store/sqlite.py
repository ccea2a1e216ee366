"""Open a SQLite database the way the engine wants it.

WAL so that readers never wait for the writer; ``synchronous=FULL`` so that a commit survives loss
of power; foreign keys enforced; transactions begun by us alone.
"""

import fcntl
import os
import sqlite3
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from cloacina.errors import (
    EngineError,
    ForkedRunnerError,
    InvalidUrlError,
    StoreUnavailableError,
)
from cloacina.log import Logger
from cloacina.store.contract import POOL_SIZE, Writer
from cloacina.store.file_system import network_mount_of
from cloacina.store.schema import ensure_schema
from cloacina.store.sqlite_link import SqliteLink
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter

_LOG = Logger("cloacina")
BUSY_TIMEOUT_MS = 10_000
_SIDECAR: Final = "-runners"
_OPEN_HERE: "weakref.WeakSet[SqliteDatabase]" = weakref.WeakSet()


class SqliteDatabase:
    """An open SQLite database, and where it lies."""

    def __init__(self, location: SqliteLocation, *, pool_size: int = POOL_SIZE) -> None:
        """Open the file at ``location``, creating it and its tables as the mode allows.

        Raises:
            EngineError: if the file cannot be opened or is no database.
        """
        self._private: tempfile.TemporaryDirectory[str] | None = None
        if location.path is None:
            self._private = tempfile.TemporaryDirectory(prefix="cloacina-")
            self.path = Path(self._private.name) / "private.db"
        else:
            self.path = location.path.absolute()
        self.is_private = self._private is not None
        self._synchronous = "OFF" if self.is_private else "FULL"
        self._check(location)
        self._warn_of_network()
        self.engine = sa.create_engine(
            "sqlite://",
            creator=lambda: _connect(self.path, location.mode),
            poolclass=QueuePool,
            pool_size=pool_size,
        )
        event.listen(self.engine, "connect", self._prepare)
        self._turnstile: int | None = self._open_turnstile()
        try:
            with self.write() as connection:
                ensure_schema(connection)
        except EngineError as error:
            self.close()
            cause = error.__cause__
            if isinstance(cause, exc.DBAPIError) and not isinstance(error, StoreUnavailableError):
                raise EngineError(f"cannot open the database {self.path}: {cause.orig}") from cause
            raise
        _OPEN_HERE.add(self)

    @property
    def sidecar(self) -> Path:
        """The directory beside the file in which runners on this machine meet."""
        return sidecar_of(self.path)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the right to write: processes take turns, where SQLite alone would wait too long."""
        turnstile = self._turnstile
        if turnstile is None:
            raise ForkedRunnerError(os.getppid())
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(turnstile, fcntl.LOCK_UN)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one consistent state (see ``Database``)."""
        with self._wrapping("read"), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self, *, patience_s: float | None = None) -> Iterator[sa.Connection]:
        """Open a writing transaction for a block (see ``Database``)."""
        with self._wrapping("written"), self.turn(), self.engine.connect() as connection:
            with _patient(connection, patience_s):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def open_writer(self, owner: str) -> Writer:
        """Open the connection on which the runner ``owner`` commits (see ``Database``)."""
        try:
            connection = _connect(self.path, "rw")
            self._prepare(connection, None)
        except sqlite3.OperationalError as error:
            raise StoreUnavailableError(
                f"the database {self.path} could not be opened for writing: {error}"
            ) from error
        return GroupWriter(SqliteLink(connection, self.turn), owner)

    def close(self) -> None:
        """Close every connection; a private database is deleted."""
        self.engine.dispose()
        self._drop_turnstile()
        with suppress(OSError):  # other runners are still there, or it is gone already
            self.sidecar.rmdir()
        if self._private is not None:
            self._private.cleanup()

    def _drop_turnstile(self) -> None:
        if self._turnstile is not None:
            os.close(self._turnstile)
            self._turnstile = None

    @classmethod
    def _forget_after_fork(cls) -> None:
        """In a forked child: let go, or it would hold a turn that its parent died with."""
        for database in list(_OPEN_HERE):
            database._drop_turnstile()

    @contextmanager
    def _wrapping(self, done: str) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            kind = StoreUnavailableError if _is_passing(error) else EngineError
            raise kind(f"the database {self.path} could not be {done}: {error.orig}") from error
        except exc.TimeoutError as error:  # every connection of the pool is in use
            raise StoreUnavailableError(
                f"the database {self.path} could not be {done}: {error}"
            ) from error

    def _open_turnstile(self) -> int:
        try:
            return open_directory(self.sidecar)
        except OSError as error:
            self.engine.dispose()
            raise EngineError(
                f"cannot open the database {self.path}: runners on it meet in {self.sidecar}, "
                f"which cannot be made or read ({error.strerror}); allow this user to write to "
                f"{self.path.parent}, or put the database elsewhere"
            ) from error

    def _check(self, location: SqliteLocation) -> None:
        if self.path.is_dir():
            raise InvalidUrlError(str(self.path), "names a directory, not a file in one")
        if location.mode != "rwc" and not self.path.exists():
            raise InvalidUrlError(str(self.path), f"has mode={location.mode} but does not exist")
        if location.mode == "ro":
            raise InvalidUrlError(str(self.path), "has mode=ro, but a runner must write")
        if self.path.exists() and not os.access(self.path, os.W_OK, effective_ids=True):
            raise EngineError(
                f"cannot open the database {self.path}: this user may not write to it, but a "
                "runner must; change its mode or owner, or run as another user"
            )
        if not self.path.parent.is_dir():
            raise InvalidUrlError(
                str(self.path), f"lies in {self.path.parent}, which is not a directory"
            )

    def _warn_of_network(self) -> None:
        mount = network_mount_of(self.path)
        if mount is not None:
            _LOG.warning(
                "the database %s lies on a network file system (%s at %s), where SQLite cannot "
                "keep processes apart and may lose it: use a local disk, or PostgreSQL",
                self.path,
                mount.kind,
                mount.path,
            )

    def _prepare(self, connection: object, _entry: ConnectionPoolEntry | None) -> None:
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - made by _connect
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")


os.register_at_fork(after_in_child=SqliteDatabase._forget_after_fork)


@contextmanager
def _patient(connection: sa.Connection, patience_s: float | None) -> Iterator[None]:
    """Have a pooled connection wait for its lock for so long, and as it does otherwise later."""
    if patience_s is None:
        yield
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(patience_s * 1000)}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _is_passing(error: exc.DBAPIError) -> bool:
    return isinstance(error, exc.OperationalError)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, check_same_thread=False)


def sidecar_of(path: Path) -> Path:
    """Return the directory in which the runners on a file meet."""
    return path.with_name(f"{path.name}{_SIDECAR}")


def open_directory(path: Path) -> int:
    """Open the directory beside a file, making it first; the caller owns the descriptor."""
    while True:
        path.mkdir(exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # the last runner to leave removed it just now
        share(descriptor, path.with_name(path.name.removesuffix(_SIDECAR)))
        return descriptor


def share(descriptor: int, database: Path) -> None:
    """Let whoever may open the file ``database`` open what belongs to it, as far as that is ours.

    A directory can be entered by those who may read the file.
    """
    try:
        like = database.stat()
    except FileNotFoundError:
        return  # it is made with the rights that are usual here
    own = os.fstat(descriptor)
    mode = stat.S_IMODE(like.st_mode) & 0o666
    if stat.S_ISDIR(own.st_mode):
        mode |= (mode & 0o444) >> 2
    if own.st_uid != os.geteuid():
        return
    with suppress(PermissionError):  # of a group that this process does not belong to
        if own.st_gid != like.st_gid:
            os.fchown(descriptor, -1, like.st_gid)
    if stat.S_IMODE(own.st_mode) != mode:
        os.fchmod(descriptor, mode)
