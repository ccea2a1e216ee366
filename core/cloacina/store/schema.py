"""Bring a database's schema to the revision that this version of the library writes.

A new database gets the tables at once; only one that is behind loads Alembic, which is slow to
import, and is upgraded in a single transaction.
"""

from typing import Final

import sqlalchemy as sa

from cloacina.errors import SchemaVersionError
from cloacina.store.tables import METADATA

HEAD: Final = "0002"
"""The newest revision in ``store/migrations/versions``."""

_REVISIONS: Final = ("0001", "0002")


def current_revision(connection: sa.Connection) -> str | None:
    """Return the schema revision of the database, or ``None`` if it has none of our tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def ensure_schema(connection: sa.Connection) -> None:
    """Create or upgrade the schema inside the caller's transaction.

    Raises:
        SchemaVersionError: if a newer version of the library wrote the database.
    """
    found = current_revision(connection)
    if found == HEAD:
        return
    if found is None:
        METADATA.create_all(connection)
        connection.execute(
            sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        )
        stamp = sa.text("INSERT INTO alembic_version (version_num) VALUES (:head)")
        connection.execute(stamp, {"head": HEAD})
        return
    if found not in _REVISIONS:
        raise SchemaVersionError(found, HEAD)
    upgrade(connection)


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the migrations up to ``to`` on ``connection``, without printing anything."""
    from alembic import command  # noqa: PLC0415 - importing alembic costs a quarter second
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "cloacina.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
