"""What happens in the demo, step by step, each with the command that a user would type."""

import secrets
import shutil
from itertools import count
from pathlib import Path

import click

from cloacina.ctl.demo.stage import Stage
from cloacina.ctl.failure import Failure

SAMPLES = ("simple_demo", "source_census")
_PASSPHRASE = ("--passphrase-file", "passphrase")
_LEFT_OUT = shutil.ignore_patterns("build", "dist", "*.egg-info", "*.so", "__pycache__")
_SCANNED, _SCANS = r" scan_\d +Completed ", 8
_TRIES = 3


class Plot:
    """The demo, on a stage that is prepared, with the projects in a directory of samples."""

    def __init__(self, stage: Stage, samples: Path) -> None:
        self._stage = stage
        self._samples = samples
        self._numbers = count(1)

    def play(self) -> None:
        """Do everything.

        Raises:
            Failure: as soon as something is not as it should be.
        """
        self._build()
        self._sign()
        self._inspect()
        self._trust()
        self._show_that_a_changed_copy_is_refused()
        self._run()
        self._kill_and_resume()

    def _build(self) -> None:
        self._tell(
            "Build",
            "Two ordinary Python projects, one with a C extension, become two packages.",
        )
        for name in SAMPLES:
            shutil.copytree(self._samples / name, self._stage.work / name, ignore=_LEFT_OUT)
            self._stage.type("package", name, "-o", f"{name}.cloacina")

    def _sign(self) -> None:
        self._tell(
            "Make a key and sign",
            "The key is encrypted; its passphrase is in the file 'passphrase', made for this demo.",
        )
        (self._stage.work / "passphrase").write_text(secrets.token_urlsafe(16))
        self._stage.type("key", "new", "demo", *_PASSPHRASE)
        for name in SAMPLES:
            self._stage.type("sign", f"{name}.cloacina", "--key", "demo.key.json", *_PASSPHRASE)

    def _inspect(self) -> None:
        self._tell("Look inside", "Nothing of a package is executed to show what it offers.")
        for name in SAMPLES:
            self._stage.type("inspect", f"{name}.cloacina")

    def _trust(self) -> None:
        self._tell("Trust", "A signature counts only once somebody here trusts its key.")
        self._stage.type("verify", "simple_demo.cloacina", expected=5)
        self._stage.type("trust", "init", *_PASSPHRASE)
        for name in SAMPLES:
            grant = ("--grant", name, "--publisher", "samples")
            self._stage.type("trust", "add", "demo.pub.pem", *grant, *_PASSPHRASE)
        self._stage.type("verify", *(f"{name}.cloacina" for name in SAMPLES))

    def _show_that_a_changed_copy_is_refused(self) -> None:
        self._tell("Change one byte", "One byte in the middle of a copy is changed.")
        raw = bytearray((self._stage.work / "source_census.cloacina").read_bytes())
        raw[len(raw) // 2] ^= 1
        (self._stage.work / "changed.cloacina").write_bytes(raw)
        self._stage.type("verify", "changed.cloacina", expected=3)

    def _run(self) -> None:
        self._tell("Run", "Tasks run in a process of the package; progress is shown live.")
        self._stage.type("run", "simple_demo.cloacina", "--follow")

    def _kill_and_resume(self) -> None:
        self._tell("Kill it in the middle", "SIGKILL, once half of the scans have completed.")
        execution_id = self._killed_execution()
        click.secho("killed", bold=True)
        self._stage.type("execution", "show", execution_id)
        tasks = self._stage.ask("execution", "show", execution_id, "--json")["tasks"]
        done = {task["task"]: task["attempts"] for task in tasks if task["status"] == "Completed"}
        self._tell("Resume", "The same command in a new process; what was done stays done.")
        self._stage.type("run", "source_census.cloacina", "--resume", "--follow")
        self._check(execution_id, done)

    def _killed_execution(self) -> str:
        """Start runs until one is killed before its end, which a fast machine may take to."""
        for tried in range(_TRIES):
            was_killed = self._stage.type_and_kill(
                "run",
                "source_census.cloacina",
                "--follow",
                pattern=_SCANNED,
                count=_SCANS // 2 - tried,
            )
            (latest,) = self._stage.ask("execution", "list", "--json", "--limit", "1")
            if was_killed and latest["status"] == "Running":
                return str(latest["execution_id"])
            click.echo("It had ended before the signal came; once more.")
        raise Failure(f"{_TRIES} runs ended before they could be killed")

    def _check(self, execution_id: str, done: dict[str, int]) -> None:
        """Make sure that the run was finished and that nothing done was done again."""
        result = self._stage.ask("execution", "show", execution_id, "--json")
        attempts = {task["task"]: task["attempts"] for task in result["tasks"]}
        repeated = [task for task, before in done.items() if attempts[task] != before]
        if result["status"] != "Completed" or repeated or not done:
            raise Failure(
                f"execution {execution_id} was not resumed as it should: it is "
                f"{result['status']}, {len(done)} tasks had completed, run again were {repeated}"
            )

    def _tell(self, title: str, sentence: str) -> None:
        click.secho(f"\n{next(self._numbers)}. {title}", bold=True)
        click.echo(f"{sentence}\n")
