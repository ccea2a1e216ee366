"""Sending events from the command line, to what others run and to what nobody does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cloacina import DefaultRunner, Runtime
from ctl.commands import Place, document, ok
from engine.databases import Where

WAITS = """
import sys
from cloacina import DefaultRunner, DefaultRunnerConfig, Runtime, TaskHandle, WorkflowBuilder, task
from cloacina_sdk.collect import collecting

runtime = Runtime()
with collecting(runtime.collection), WorkflowBuilder("w"):

    @task(id="first")
    def first(context, handle: TaskHandle):
        context["answer"] = handle.wait_event("approved")

config = DefaultRunnerConfig(shutdown_timeout_seconds=0.1)
with DefaultRunner(sys.argv[1], runtime=runtime, config=config) as runner:
    handle = runner.submit("w") if sys.argv[2] == "submit" else runner.handle(sys.argv[2])
    for event in handle.events():
        if event.kind in {"task_deferred", "task_wait_over"}:
            break
    print(handle.id, flush=True)
    if sys.stdin.readline() == "wait\\n":
        print(handle.wait(60).final_context.to_dict(), flush=True)
"""


@contextmanager
def who_waits(where: Where, execution: str = "submit") -> Iterator["subprocess.Popen[str]"]:
    """A runner in a process of its own, whose task has begun to wait."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, where.url, execution],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.communicate("leave\n", timeout=60)


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


@pytest.fixture
def database(where: Where, place: Place, monkeypatch: pytest.MonkeyPatch) -> Where:
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", where.url)
    return where


def test_an_event_is_sent_to_what_another_process_runs(place: Place, database: Where) -> None:
    with who_waits(database) as process:
        execution = line_of(process)
        payload = '{"by": "me"}'
        sent = ok(
            place.invoke("execution", "send", execution[:-1], "approved", "--payload", payload)
        )
        assert sent.output == f"event 'approved' was sent to execution {execution}\n"
        say(process, "wait")
        assert line_of(process) == "{'answer': {'by': 'me'}}"
        late = place.invoke("execution", "send", execution, "approved", "--json")
        assert late.exit_code == 1
        assert document(late) == {
            "execution_id": execution,
            "event": "approved",
            "answer": "Ended",
        }


def test_an_event_is_sent_to_what_nobody_runs(place: Place, database: Where) -> None:
    with who_waits(database) as process:
        execution = line_of(process)
    ok(place.invoke("execution", "send", execution, "approved", "--payload", "[1]"))
    with DefaultRunner(database.url, runtime=Runtime()) as runner:
        kinds = [event.kind for event in runner.events(execution, follow=False)]
    assert kinds.count("event_sent") == kinds.count("task_wait_over") == 1
    with who_waits(database, execution) as heir:
        line_of(heir)
        say(heir, "wait")
        assert line_of(heir) == "{'answer': [1]}"


def test_what_cannot_be_sent_is_wrong_usage(place: Place, database: Where) -> None:
    ok(place.invoke("db", "migrate"))
    wrong = place.invoke("execution", "send", "x", "approved", "--payload", "{")
    assert wrong.exit_code == 2
    assert "the payload is not JSON" in wrong.output
    unknown = place.invoke("execution", "send", "x", "approved")
    assert unknown.exit_code == 2
    with who_waits(database) as process:
        nameless = place.invoke("execution", "send", line_of(process), "")
        assert nameless.exit_code == 2
        assert "1 to 200 characters" in nameless.output
