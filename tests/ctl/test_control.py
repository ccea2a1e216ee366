"""Cancelling, pausing and resuming from the command line, while others run and while nobody does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ctl.commands import Place, document, ok
from engine.databases import Where

RUNNER = """
import sys, threading
from cloacina import DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting

runtime, may_end = Runtime(), threading.Event()
with collecting(runtime.collection), WorkflowBuilder("w"):

    @task(id="first", retry_attempts=1)
    def first(context):
        may_end.wait(60)

    @task(id="second", dependencies=["first"])
    def second(context):
        pass

config = DefaultRunnerConfig(cancel_grace_seconds=0.1, shutdown_timeout_seconds=0.1)
with DefaultRunner(sys.argv[1], runtime=runtime, config=config) as runner:
    handle = runner.submit("w") if sys.argv[2] == "submit" else runner.handle(sys.argv[2])
    print(handle.id, flush=True)
    for line in sys.stdin:
        if line == "release\\n":
            may_end.set()
        elif line == "wait\\n":
            print(handle.wait(60).status, flush=True)
        else:
            break
"""


class Other:
    """A runner in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.id = next(self._lines())

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def status(self) -> str:
        self.say("wait")
        return next(self._lines())

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.strip()


@contextmanager
def a_runner(where: Where, execution: str = "submit") -> Iterator[Other]:
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, where.url, execution],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            other = Other(process)
            yield other
            other.say("leave")
        finally:
            process.stdin.close() if process.stdin else None
            try:
                process.wait(30)
            finally:
                process.kill()


@pytest.fixture
def database(where: Where, place: Place, monkeypatch: pytest.MonkeyPatch) -> Where:
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", where.url)
    return where


def status_of(place: Place, execution_id: str) -> str:
    shown = document(ok(place.invoke("execution", "show", execution_id, "--json")))
    return str(shown["status"])


def test_what_another_process_runs_is_cancelled(place: Place, database: Where) -> None:
    with a_runner(database) as other:
        cancelled = ok(place.invoke("execution", "cancel", other.id, "--wait", "30"))
        assert cancelled.output == (
            f"execution {other.id} is cancelled\n"
            "  first: it did not end within 0.1 s of being cancelled; it cannot be killed where it "
            "runs, and goes on: it keeps its slot until it ends, and what it returns is discarded\n"
        )
        assert "and goes on" in ok(place.invoke("execution", "show", other.id)).output
        assert "and goes on" in ok(place.invoke("execution", "why", other.id, "first")).output
        shown = document(ok(place.invoke("execution", "cancel", other.id, "--json")))
        assert shown["reasons"]["first"].startswith("it did not end within 0.1 s")
        assert other.status() == "Cancelled"
        again = ok(place.invoke("execution", "cancel", other.id))
        assert "is cancelled (it was so already)" in again.output
        for command in ("pause", "resume"):
            late = place.invoke("execution", command, other.id, "--json")
            assert late.exit_code == 1
            assert document(late) == {
                "execution_id": other.id,
                "asked": command,
                "is_done": False,
                "status": "Cancelled",
            }


def test_what_another_process_runs_is_paused_and_resumed(place: Place, database: Where) -> None:
    with a_runner(database) as other:
        paused = ok(place.invoke("execution", "pause", other.id, "--wait", "30"))
        assert "is paused: nothing more of it is started" in paused.output
        assert status_of(place, other.id) == "Paused"
        assert "it was so already" in ok(place.invoke("execution", "pause", other.id)).output
        other.say("release")
        resumed = ok(place.invoke("execution", "resume", other.id, "--wait", "30", "--json"))
        assert document(resumed)["is_done"] is True
        assert other.status() == "Completed"
        late = place.invoke("execution", "cancel", other.id)
        assert late.exit_code == 1
        assert "had ended before, as Completed; nothing was changed" in late.output


def test_what_is_asked_while_no_runner_is_there_is_not_forgotten(
    place: Place, database: Where
) -> None:
    with a_runner(database) as other:
        pass
    asked = place.invoke("execution", "cancel", other.id[:-1])
    if asked.exit_code:  # then the next runner does it
        assert "the runner that has it, or takes it next, will cancel it" in asked.output
    with a_runner(database, other.id) as heir:
        assert heir.status() == "Cancelled"
    assert status_of(place, other.id) == "Cancelled"


def test_a_paused_execution_stays_so_until_somebody_resumes_it(
    place: Place, database: Where
) -> None:
    with a_runner(database) as other:
        ok(place.invoke("execution", "pause", other.id, "--wait", "30"))
    assert status_of(place, other.id) == "Paused"
    with a_runner(database, other.id) as heir:
        heir.say("release")
        ok(place.invoke("execution", "resume", other.id, "--wait", "30"))
        assert heir.status() == "Completed"


def test_what_was_cancelled_runs_again_in_the_runner_that_knows_it(
    place: Place, database: Where
) -> None:
    with a_runner(database) as other:
        running = place.invoke("execution", "retry", other.id)
        assert running.exit_code == 1
        assert "wait for its end or cancel it" in running.output
        ok(place.invoke("execution", "cancel", other.id, "--wait", "30"))
        other.say("release")
        again = ok(place.invoke("execution", "retry", other.id))
        assert again.output.startswith(f"execution {other.id} is Running again")
    with a_runner(database, other.id) as heir:
        heir.say("release")
        assert heir.status() == "Completed"


def test_an_execution_that_there_is_not_is_wrong_usage(place: Place, database: Where) -> None:
    for command in ("cancel", "pause", "resume", "retry"):
        missing = place.invoke("execution", command, "x")
        if database.is_postgres:
            assert missing.exit_code == 1
            assert "has no tables of cloacina yet" in missing.output
        else:
            assert missing.exit_code == 2
            assert "there is no database" in missing.output
    ok(place.invoke("db", "migrate"))
    unknown = place.invoke("execution", "cancel", "x")
    assert unknown.exit_code == 2
    assert "there is no execution 'x'" in unknown.output
