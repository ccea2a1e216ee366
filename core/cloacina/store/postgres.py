"""Open a PostgreSQL database, or one tenant's schema of it.

Every statement names the schema, so that a pooler may hand each transaction another connection
(one that prepares statements per transaction, as PgBouncer does from 1.21 on). ``LISTEN`` alone
needs a connection that stays; without it the backstop serves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qsl

import psycopg
import sqlalchemy as sa
from psycopg import conninfo
from psycopg.pq import Conninfo
from sqlalchemy import exc
from sqlalchemy.schema import CreateSchema

from cloacina.errors import (
    EngineError,
    InvalidUrlError,
    SchemaSetupError,
    StoreUnavailableError,
)
from cloacina.store.contract import POOL_SIZE, Writer
from cloacina.store.postgres_faults import is_passing
from cloacina.store.postgres_line import Line
from cloacina.store.postgres_link import PostgresLink
from cloacina.store.schema import HEAD, current_revision, ensure_schema
from cloacina.store.url import PostgresLocation
from cloacina.store.writer import GroupWriter

_DEFAULTS: Final = {
    "fallback_application_name": "cloacina",
    "connect_timeout": "10",
    # a server that vanished is noticed within half a minute, and not after two hours
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_LOCK_OF_SETUP: Final = 0x636C6F6163696E61  # "cloacina": any number that nobody else locks


class PostgresDatabase:
    """An open schema of a PostgreSQL database. Safe to use from several threads."""

    def __init__(
        self, location: PostgresLocation, *, lease_s: float, pool_size: int = POOL_SIZE
    ) -> None:
        """Connect to ``location``, creating the schema and its tables where they are missing.

        Args:
            location: which schema of which database.
            lease_s: how long a runner lives that does not renew its lease. A transaction that is
                left open for so long is ended, since its locks would keep others waiting.
            pool_size: how many connections are kept open.

        Raises:
            InvalidUrlError: if libpq cannot read the URL.
            SchemaSetupError: if the database cannot be reached or refuses the tables.
            SchemaVersionError: if a newer version of the library wrote it.
        """
        self._location = location
        self._lease_s = lease_s
        self._conninfo = _conninfo(location)
        self._schemas: dict[str | None, str] = {None: location.schema}
        self.engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=pool_size,
            pool_pre_ping=True,
            use_native_hstore=False,
            execution_options={"schema_translate_map": self._schemas},
        )
        self._reading = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        try:
            self._set_up()
        except EngineError as error:
            self.close()
            cause = error.__cause__
            if isinstance(cause, exc.DBAPIError):
                raise SchemaSetupError(location.schema, location.shown, cause.orig) from cause
            raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one consistent state (see ``Database``)."""
        with self._wrapping("read"), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a writing transaction for a block (see ``Database``)."""
        with self._wrapping("written"), self.engine.begin() as connection:
            yield connection

    def open_writer(self, owner: str) -> Writer:
        """Prepare the connection on which the runner ``owner`` commits (see ``Database``)."""
        link = PostgresLink(
            self._connect, owner=owner, schemas=self._schemas, patience_s=self._lease_s
        )
        return GroupWriter(link, owner)

    def open_line(self, runner_id: str) -> Line:
        """Open the connection on which a runner renews its lease, rings and is rung.

        Raises:
            StoreUnavailableError: if the database cannot be reached.
        """
        return Line(
            self._connect, runner_id=runner_id, schemas=self._schemas, lease_s=self._lease_s
        )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.engine.dispose()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._conninfo)

    def _set_up(self) -> None:
        with self.read() as connection:
            if current_revision(connection) == HEAD:
                return
        with self.write() as connection:
            # several processes may open a new database at once: one makes the tables
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_OF_SETUP)))
            schema = self._location.schema
            if not sa.inspect(connection).has_schema(schema):
                connection.execute(CreateSchema(schema))
            ensure_schema(connection)

    @contextmanager
    def _wrapping(self, done: str) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            kind = StoreUnavailableError if is_passing(error.orig) else EngineError
            raise kind(
                f"the database {self._location.shown} could not be {done}: {error.orig}"
            ) from error


def _conninfo(location: PostgresLocation) -> str:
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | {"ssl"}
    for key, _ in parse_qsl(location.url.partition("?")[2], keep_blank_values=True):
        if key not in known:
            raise InvalidUrlError(
                location.shown, f"has the query key {key!r}, which libpq does not know"
            )
    try:
        given = conninfo.conninfo_to_dict(location.url)
    except psycopg.ProgrammingError:
        # what libpq says may quote the URL, password and all
        raise InvalidUrlError(location.shown, "is none that libpq can read") from None
    return conninfo.make_conninfo("", **{**_DEFAULTS, **given})
