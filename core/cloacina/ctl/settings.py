"""What the options before a command's name say, for every command."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloacina.ctl.exit_codes import USAGE

if TYPE_CHECKING:
    from cloacina.packages.home import Home
    from cloacina.runner.sources import Configuration
    from cloacina.store.url import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The global options.

    Attributes:
        home_option: the directory given by ``--home``; ``None`` for the default one.
        is_debugging: whether tracebacks and debug logs are wanted.
        config_option: the file of settings given by ``--config``; ``None`` for the home's, if there
            is one.
        assignments: what ``--set`` gave, each as ``NAME=VALUE``.
    """

    home_option: Path | None
    is_debugging: bool
    config_option: Path | None = None
    assignments: Sequence[str] = ()

    @property
    def home(self) -> "Home":
        """The home directory; it need not exist."""
        from cloacina.packages.home import Home  # noqa: PLC0415 - brings cryptography along

        return Home.default() if self.home_option is None else Home(self.home_option.absolute())

    @property
    def config_file(self) -> Path | None:
        """The file of settings; ``None`` if none was named and the home has none."""
        if self.config_option is not None:
            return self.config_option
        own = self.home.config_file
        return own if own.exists() else None

    def configuration(
        self, database: str | None = None, schema: str | None = None
    ) -> "Configuration":
        """Return what file, environment and flags come to; what may be a mistake is warned about.

        Args:
            database: what ``--database`` gave.
            schema: what ``--schema`` gave.

        Raises:
            EngineError: if a source cannot be read, or what it says not be used.
        """
        from cloacina.runner.sources import (  # noqa: PLC0415 - not every command has settings
            Given,
            Sources,
            read_configuration,
        )

        flags = {"database": database, "schema": schema}
        given = {name: Given(text, f"--{name}") for name, text in flags.items() if text is not None}
        for assignment in self.assignments:
            name, separator, text = assignment.partition("=")
            if not separator or name in flags:
                raise click.UsageError(f"--set takes NAME=VALUE of a setting, not {assignment!r}")
            given[name] = Given(text, "--set")
        found = read_configuration(
            Sources(
                file=self.config_file,
                environment=os.environ,
                flags=given,
                database=self.home.database,
            )
        )
        for warning in found.warnings:
            click.echo(f"warning: {warning}", err=True)
        return found

    def location(self, database: str | None = None, schema: str | None = None) -> "Location":
        """Return the database that is meant (see ``configuration``)."""
        return self.configuration(database, schema).location

    def home_made(self) -> "Home":
        """Return the home directory after making it, for its owner alone."""
        home = self.home
        try:
            home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            from cloacina.ctl.failure import Failure  # noqa: PLC0415 - only a failure needs it

            raise Failure(
                f"the home directory {home.path} cannot be made: {error.strerror}",
                steps=["Name another one by --home or $CLOACINA_HOME."],
                exit_code=USAGE,
            ) from error
        return home

    def command_line(self, *arguments: str | Path) -> str:
        """Return how to type a command of this program for the same home."""
        start = ["cloacina-ctl"]
        if self.home_option is not None:
            start += ["--home", str(self.home_option)]
        if self.config_option is not None:
            start += ["--config", str(self.config_option)]
        for assignment in self.assignments:
            start += ["--set", assignment]
        return shlex.join([*start, *map(str, arguments)])


pass_settings = click.make_pass_decorator(Settings)
"""Hand a command the `Settings` as its first argument."""
