"""Type commands: in this process where that is enough, else in one of their own."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cloacina.ctl.cli import cli
from cloacina_signing.key_file import seal
from cloacina_signing.keys import PrivateKey
from packages.makers import AUTHOR, GREETER, a_package

CTL = (sys.executable, "-m", "cloacina.ctl")
DEADLINE_S = 180.0

GREET = GREETER.format(word="hello")

GATED = '''
from pathlib import Path
from cloacina_sdk import task, workflow

@workflow(name="gated")
class Gated:
    """Three tasks; the second waits until somebody opens the gate, a named pipe."""

    @task(retry_attempts=1)
    def first(context):
        with open(context["diary"], "a") as diary:
            diary.write("first\\n")
        context["first"] = "done"

    @task(dependencies=[first], retry_attempts=1)
    def second(context):
        context["word"] = Path(context["gate"]).read_text()

    @task(dependencies=[second], retry_attempts=1)
    def third(context):
        print("the word was", context["word"])
'''


@dataclass(frozen=True)
class Place:
    """A directory to work in, with a home in it."""

    path: Path

    @property
    def home(self) -> Path:
        return self.path / "home"

    def invoke(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
        """Run a command in this process, in the current directory."""
        line = ["--home", str(self.home), *map(str, arguments)]
        return CliRunner().invoke(cli, line, prog_name="cloacina-ctl", env=env)

    def line(self, *arguments: str | Path) -> list[str]:
        return [*CTL, "--home", str(self.home), *map(str, arguments)]

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a process of its own, here."""
        return subprocess.run(
            self.line(*arguments),
            cwd=self.path,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        """Start a command whose output is read while it runs; stderr is among it."""
        return subprocess.Popen(
            self.line(*arguments),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - it only sets a signal's default
        )

    def run_on_a_terminal(self, *arguments: str, **environment: str) -> str:
        """Run a command whose output is a terminal, and return what that was sent."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self.line(*arguments),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        os.close(theirs)
        said = b""
        while chunk := read_terminal(ours):
            said += chunk
        os.close(ours)
        assert process.wait(DEADLINE_S) == 0, said
        return said.decode()

    def package(self, file: str = "greeter.cloacina", source: str = GREET, **fields: Any) -> Path:
        """Write a package file, signed by AUTHOR unless ``keys`` say otherwise."""
        fields.setdefault("publisher", "local")
        path = self.path / file
        path.write_bytes(a_package(self.path, source, **fields))
        return path

    def gated(self) -> Path:
        return self.package("gated.cloacina", GATED, name="gated", module="gated_tasks")

    def public_key(self, key: PrivateKey = AUTHOR) -> Path:
        path = self.path / f"{key.name}.pub.pem"
        path.write_bytes(key.public.to_pem())
        return path

    def private_key(self, key: PrivateKey) -> Path:
        path = self.path / f"{key.name}.key.json"
        path.write_bytes(seal(key, None, insecure_plaintext=True))
        path.chmod(0o600)
        return path

    def trust(self, grant: str = "*") -> None:
        """Trust AUTHOR with packages of publisher ``local``."""
        ok(self.invoke("trust", "init", "--insecure-no-passphrase"))
        ok(self.invoke("trust", "add", self.public_key(), "--grant", grant))


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # how Linux says that the other end is closed


def ok(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def document(result: "Result | subprocess.CompletedProcess[str]") -> Any:
    return json.loads(result.stdout)


def _heed_interrupts() -> None:
    """Undo what a shell does to what it runs in the background, be it these tests."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
