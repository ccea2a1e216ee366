"""Bring a database up to date because somebody asks for it, and say what that changed."""

from dataclasses import dataclass
from typing import Final, assert_never

from cloacina.errors import DatabaseMissingError
from cloacina.store.contract import Database
from cloacina.store.drivers import require_psycopg
from cloacina.store.schema import HEAD, current_revision
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import Location, PostgresLocation, SqliteLocation
from cloacina.store.viewer import look_at

_LEASE_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """From which revision of the tables to which.

    Attributes:
        before: ``None`` if there were no tables.
        after: what this version of the library writes.
    """

    before: str | None
    after: str


def migrate(location: Location) -> Migrated:
    """Make or upgrade the tables at ``location``, in one transaction; there may be none to do.

    Raises:
        SchemaVersionError: if a newer version of the library wrote them; nothing was changed.
        EngineError: if the database cannot be opened or refuses the change; nothing was changed.
    """
    before = revision_of(location)
    open_for_writing(location).close()
    return Migrated(before=before, after=HEAD)


def revision_of(location: Location) -> str | None:
    """Return the revision of the tables at ``location``, ``None`` if there are none.

    Raises:
        EngineError: if the database cannot be read.
    """
    try:
        look = look_at(location)
    except DatabaseMissingError:
        return None
    try:
        with look.read() as connection:
            return current_revision(connection)
    finally:
        look.close()


def open_for_writing(location: Location) -> Database:
    """Open a database without being a runner on it, making or upgrading its tables.

    Raises:
        EngineError: if it cannot be opened.
    """
    match location:
        case SqliteLocation():
            return SqliteDatabase(location)
        case PostgresLocation():
            require_psycopg()
            from cloacina.store.postgres import PostgresDatabase  # noqa: PLC0415 - its driver is an extra

            return PostgresDatabase(location, lease_s=_LEASE_S)
        case _:
            assert_never(location)
