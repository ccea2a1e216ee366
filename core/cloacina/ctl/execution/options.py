"""What the commands about executions have in common: their options, and a look at the database."""

from collections.abc import Callable
from typing import TypeVar

import click

from cloacina.ctl.database import database_option, open_viewer

__all__ = ["database_option", "json_option", "open_viewer"]

_Command = TypeVar("_Command", bound=Callable[..., object])


def json_option(command: _Command) -> _Command:
    """Add ``--json``, passed on as ``is_json: bool``."""
    return click.option("--json", "is_json", is_flag=True, help="Write JSON.")(command)
