"""Connect to PostgreSQL, to one tenant's schema of it.

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

from cloacina.errors import EngineError, InvalidUrlError, StoreUnavailableError
from cloacina.store.postgres_faults import is_passing
from cloacina.store.url import PostgresLocation

_DEFAULTS: Final = {
    "fallback_application_name": "cloacina",
    "connect_timeout": "10",
    # a server that vanished is noticed within half a minute, and not after two hours
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class PostgresAccess:
    """Transactions on one schema. Safe to use from several threads."""

    def __init__(self, location: PostgresLocation, *, pool_size: int) -> None:
        """Get ready; nothing is connected before it is needed.

        Args:
            location: which schema of which database.
            pool_size: how many connections are kept open.

        Raises:
            InvalidUrlError: if libpq cannot read the URL.
        """
        self.location = location
        self._conninfo = conninfo_of(location)
        self.schemas: dict[str | None, str] = {None: location.schema}
        self.engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            pool_size=pool_size,
            pool_pre_ping=True,
            use_native_hstore=False,
            execution_options={"schema_translate_map": self.schemas},
        )
        self._reading = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    def connect(self) -> psycopg.Connection:
        """Open a connection beside the pool; the caller owns it.

        Raises:
            psycopg.Error: if that is impossible.
        """
        return psycopg.connect(self._conninfo)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one consistent state (see ``Database``)."""
        with self._wrapping("read"), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, patience_s: float | None = None) -> Iterator[sa.Connection]:
        """Open a writing transaction for a block (see ``Database``)."""
        with self._wrapping("written"), self.engine.begin() as connection:
            if patience_s is not None:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience_s * 1000)}")
            yield connection

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.engine.dispose()

    @contextmanager
    def _wrapping(self, done: str) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            kind = StoreUnavailableError if is_passing(error.orig) else EngineError
            raise kind(
                f"the database {self.location.shown} could not be {done}: {error.orig}"
            ) from error
        except exc.TimeoutError as error:  # every connection of the pool is in use
            raise StoreUnavailableError(
                f"the database {self.location.shown} could not be {done}: {error}"
            ) from error


def conninfo_of(location: PostgresLocation) -> str:
    """Return what libpq connects by.

    Raises:
        InvalidUrlError: if libpq cannot read the URL, or does not know a key of its query.
    """
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
