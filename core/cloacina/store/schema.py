"""Bring a database's schema to the revision that this version of the library writes.

A new database gets the tables at once; only one that is behind loads Alembic, which is slow to
import, and is upgraded in a single transaction.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from cloacina.errors import SchemaVersionError
from cloacina.store.tables import METADATA

HEAD: Final = "0011"
"""The newest revision in ``store/migrations/versions``."""

_REVISIONS: Final = tuple(f"{number:04}" for number in range(1, 12))

_VERSION: Final = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


def schema_of(connection: sa.Connection) -> str | None:
    """Return the schema that the tables are looked for in; ``None`` where there are none."""
    schemas: Mapping[str | None, str] = connection.get_execution_options().get(
        "schema_translate_map", {}
    )
    return schemas.get(None)


def current_revision(connection: sa.Connection) -> str | None:
    """Return the schema revision of the database, or ``None`` if it has none of our tables."""
    if not sa.inspect(connection).has_table(_VERSION.name, schema=schema_of(connection)):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def is_known(revision: str) -> bool:
    """Whether this version of the library can upgrade a database of that revision."""
    return revision in _REVISIONS


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
        _VERSION.create(connection)
        connection.execute(sa.insert(_VERSION), {"version_num": HEAD})
        return
    if not is_known(found):
        raise SchemaVersionError(found, HEAD)
    upgrade(connection)


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the migrations up to ``to`` on ``connection``, without printing anything."""
    from alembic import command  # noqa: PLC0415 - importing alembic costs a quarter second
    from alembic.config import Config  # noqa: PLC0415

    schema = schema_of(connection)
    if schema is not None:  # for Alembic's own look at what is there
        quoted = connection.dialect.identifier_preparer.quote(schema)
        connection.exec_driver_sql(f"SET LOCAL search_path TO {quoted}")
    config = Config()
    config.set_main_option("script_location", "cloacina.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
