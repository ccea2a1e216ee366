"""Where the demo takes place: a directory of its own, and commands typed in it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cloacina.ctl.failure import Failure

_DEADLINE_S = 300.0
_PROGRAM = (sys.executable, "-m", "cloacina.ctl")


@dataclass(frozen=True, slots=True)
class Stage:
    """A directory that everything is written to: the home, temporary files, packages, keys."""

    directory: Path

    @property
    def work(self) -> Path:
        """The directory in which commands are typed."""
        return self.directory / "work"

    def prepare(self) -> None:
        """Make the directories."""
        for path in (self.work, self.directory / "temporary"):
            path.mkdir(parents=True)

    def type(self, *arguments: str, expected: int = 0) -> None:
        """Show a command and run it here; it writes to this terminal itself.

        Raises:
            Failure: if it ends with another exit code than expected.
        """
        _show(arguments)
        process = subprocess.Popen(
            [*_PROGRAM, *arguments],
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
        )
        _expect(arguments, _ended(process), expected)

    def type_and_kill(self, *arguments: str, pattern: str, count: int) -> bool:
        """Show a command, run it here, kill it once ``count`` lines of it match ``pattern``.

        Returns:
            whether it was killed before its end.

        Raises:
            Failure: if it failed by itself.
        """
        _show(arguments)
        process = subprocess.Popen(
            [*_PROGRAM, *arguments],
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        matched = 0
        for line in _lines(process):
            matched += re.search(pattern, line) is not None
            if matched >= count:
                process.kill()
            click.echo(line, nl=False)
        exit_code = _ended(process)
        if exit_code != -signal.SIGKILL:
            _expect(arguments, exit_code, 0)
        return exit_code == -signal.SIGKILL

    def ask(self, *arguments: str) -> Any:
        """Return what a command that writes JSON says, without showing it.

        Raises:
            Failure: if it does not succeed.
        """
        done = subprocess.run(
            [*_PROGRAM, *arguments],
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        _expect(arguments, done.returncode, 0)
        return json.loads(done.stdout)

    def _environment(self) -> Mapping[str, str]:
        """Everything that might be written elsewhere is sent here instead."""
        here = {
            "CLOACINA_HOME": str(self.directory / "home"),
            "TMPDIR": str(self.directory / "temporary"),
            "XDG_CACHE_HOME": str(self.directory / "temporary"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CLOACINA_")}
        kept.pop("DATABASE_URL", None)
        return kept | here


def _show(arguments: tuple[str, ...]) -> None:
    click.secho(f"$ {shlex.join(['cloacina-ctl', *arguments])}", bold=True)


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with process.stdout as lines:
        yield from lines


def _ended(process: "subprocess.Popen[Any]") -> int:
    try:
        return process.wait(_DEADLINE_S)
    finally:
        process.kill()  # does nothing to one that has ended


def _expect(arguments: tuple[str, ...], found: int, expected: int) -> None:
    if found != expected:
        command = shlex.join(["cloacina-ctl", *arguments])
        raise Failure(f"'{command}' ended with exit code {found}, and not with {expected}")
