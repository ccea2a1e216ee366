"""A click group whose commands are imported when they are used, and not to list them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class CommandReference:
    """Where a command is, and what it does in a few words.

    Attributes:
        location: ``module:attribute``.
    """

    location: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.location.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.location} is a {type(command).__name__}, not a click command")
        return command


class LazyGroup(click.Group):
    """Commands by reference; help shows their summaries without loading them."""

    def __init__(self, *, references: Mapping[str, CommandReference], **attributes: Any) -> None:
        """Offer ``references``; ``attributes`` are those of ``click.Group``."""
        super().__init__(**attributes)
        self._references = references

    def references(self) -> Mapping[str, CommandReference]:
        """Return every command on offer."""
        return self._references

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in alphabetical order."""
        return sorted(self.references())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; one that is built in without looking for others."""
        reference = self._references.get(cmd_name) or self.references().get(cmd_name)
        return None if reference is None else reference.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands of a help page."""
        rows = [(name, found.summary) for name, found in sorted(self.references().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
