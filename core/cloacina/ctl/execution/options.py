"""What the commands about executions have in common: their options, and a look at the database."""

from collections.abc import Callable
from typing import TypeVar

import click

from cloacina.ctl.settings import Settings
from cloacina.store.url import SqliteLocation
from cloacina.store.viewer import Viewer

_Command = TypeVar("_Command", bound=Callable[..., object])


def database_option(command: _Command) -> _Command:
    """Add ``--database``, passed on as ``database: str | None``."""
    return click.option(
        "--database", metavar="URL", help="Where runs are kept.  [default: in --home]"
    )(command)


def json_option(command: _Command) -> _Command:
    """Add ``--json``, passed on as ``is_json: bool``."""
    return click.option("--json", "is_json", is_flag=True, help="Write JSON.")(command)


def open_viewer(settings: Settings, database: str | None) -> Viewer:
    """Open the database that is named, or the home's own, for looking alone.

    Raises:
        DatabaseMissingError: if there is none.
        InvalidUrlError: if the URL cannot be used.
    """
    return Viewer(SqliteLocation.parse(database or settings.home.database))
