"""Open a PostgreSQL database for a runner, making the schema and the tables where they are missing."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.schema import CreateSchema

from cloacina.errors import EngineError, SchemaSetupError
from cloacina.store.contract import POOL_SIZE, Writer
from cloacina.store.postgres_access import PostgresAccess
from cloacina.store.postgres_line import Line
from cloacina.store.postgres_link import PostgresLink
from cloacina.store.schema import HEAD, current_revision, ensure_schema
from cloacina.store.url import PostgresLocation
from cloacina.store.writer import GroupWriter

_LOCK_OF_SETUP: Final = 0x636C6F6163696E61  # "cloacina": any number that nobody else locks


class PostgresDatabase(PostgresAccess):
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
        super().__init__(location, pool_size=pool_size)
        self._lease_s = lease_s
        try:
            self._set_up()
        except EngineError as error:
            self.close()
            cause = error.__cause__
            if isinstance(cause, exc.DBAPIError):
                raise SchemaSetupError(location.schema, location.shown, cause.orig) from cause
            raise

    def open_writer(self, owner: str) -> Writer:
        """Prepare the connection on which the runner ``owner`` commits (see ``Database``)."""
        link = PostgresLink(
            self.connect, owner=owner, schemas=self.schemas, patience_s=self._lease_s
        )
        return GroupWriter(link, owner)

    def open_line(self, runner_id: str) -> Line:
        """Open the connection on which a runner renews its lease, rings and is rung.

        Raises:
            StoreUnavailableError: if the database cannot be reached.
        """
        return Line(self.connect, runner_id=runner_id, schemas=self.schemas, lease_s=self._lease_s)

    def _set_up(self) -> None:
        with self.read() as connection:
            if current_revision(connection) == HEAD:
                return
        with self.write() as connection:
            # several processes may open a new database at once: one makes the tables
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_OF_SETUP)))
            schema = self.location.schema
            if not sa.inspect(connection).has_schema(schema):
                connection.execute(CreateSchema(schema))
            ensure_schema(connection)
