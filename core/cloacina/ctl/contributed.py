"""Commands that other distributions contribute through an entry-point group.

They are listed without being imported. One that cannot be imported fails when it is used, and only
then; a name that is built in cannot be taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import click

from cloacina.ctl.lazy_group import CommandReference

GROUP = "cloacina.ctl_commands"


@dataclass(frozen=True, slots=True)
class ContributedCommand(CommandReference):
    """A command of another distribution."""

    distribution: str

    def load(self) -> click.Command:
        """Import the command, or return one that says why that is impossible."""
        try:
            return CommandReference.load(self)
        except Exception as error:  # noqa: BLE001 - whatever a foreign module does must not break the others
            return _broken(self, error)


def contributed_commands() -> Iterator[tuple[str, ContributedCommand]]:
    """Find what is installed, by the name of the command."""
    for entry in entry_points(group=GROUP):
        owner = _distribution(entry)
        yield entry.name, ContributedCommand(entry.value, f"(from {owner})", owner)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"


def _broken(reference: ContributedCommand, error: Exception) -> click.Command:
    def fail(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(
            f"this command of {reference.distribution} cannot be loaded from "
            f"{reference.location!r}: {type(error).__name__}: {error}; "
            "install that distribution again, or remove it"
        ) from error

    return click.Command(
        None,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )
