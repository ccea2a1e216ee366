"""What the options before a command's name say, for every command."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloacina.packages.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The global options.

    Attributes:
        home_option: the directory given by ``--home``; ``None`` for the default one.
        is_debugging: whether tracebacks and debug logs are wanted.
    """

    home_option: Path | None
    is_debugging: bool

    @property
    def home(self) -> "Home":
        """The home directory; it need not exist."""
        from cloacina.packages.home import Home  # noqa: PLC0415 - brings cryptography along

        return Home.default() if self.home_option is None else Home(self.home_option.absolute())

    def home_made(self) -> "Home":
        """Return the home directory after making it, for its owner alone."""
        home = self.home
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return home

    def command_line(self, *arguments: str | Path) -> str:
        """Return how to type a command of this program for the same home."""
        start = ["cloacina-ctl"]
        if self.home_option is not None:
            start += ["--home", str(self.home_option)]
        return shlex.join([*start, *map(str, arguments)])


pass_settings = click.make_pass_decorator(Settings)
"""Hand a command the `Settings` as its first argument."""
