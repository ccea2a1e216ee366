"""Which database a command is about, and looking at it."""

from collections.abc import Callable
from typing import TypeVar

import click

from cloacina.ctl.settings import Settings
from cloacina.store.url import Location
from cloacina.store.viewer import Viewer

_Command = TypeVar("_Command", bound=Callable[..., object])
_SCHEMA = "cloacina.schema"


def database_option(command: _Command) -> _Command:
    """Add ``--database``, passed on as ``database: str | None``, and ``--schema`` beside it.

    The schema is for ``location_of``, ``open_viewer`` and ``schema_of`` alone.
    """
    schema = click.option(
        "--schema",
        metavar="NAME",
        expose_value=False,
        callback=_keep_schema,
        help="The tenant's schema on PostgreSQL.  [default: what is configured, or public]",
    )
    database = click.option(
        "--database",
        metavar="URL",
        help="Where runs are kept.  [default: what is configured, or in --home]",
    )
    return database(schema(command))


def schema_of() -> str | None:
    """Return what ``--schema`` gave to the command that runs."""
    found: str | None = click.get_current_context().meta.get(_SCHEMA)
    return found


def location_of(settings: Settings, database: str | None) -> Location:
    """Return the database that is named, or the one that is configured, or the home's own.

    Raises:
        InvalidUrlError: if the URL cannot be used.
        InvalidSchemaError: if no schema can have the name.
    """
    return settings.location(database, schema_of())


def open_viewer(settings: Settings, database: str | None) -> Viewer:
    """Open that database for looking alone (see ``location_of``).

    Raises:
        DatabaseMissingError: if there is none.
        EngineError: if it cannot be read.
    """
    return Viewer(location_of(settings, database))


def _keep_schema(ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
    ctx.meta[_SCHEMA] = value
