"""What the engine does when the database, a plugin or itself misbehaves."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import KernelFailedError, RejectedWriteError
from cloacina.planner.planner import Planner
from cloacina.store.sqlite_link import SqliteLink
from cloacina.store.writer import GroupWriter
from cloacina_sdk.collect import collecting
from engine.databases import Where


@pytest.fixture
def runtime() -> Runtime:
    runtime = Runtime()
    with collecting(runtime.collection), WorkflowBuilder("echo"):

        @task(retry_attempts=1)
        def echo(context: Context) -> None:
            context["echoed"] = context["n"]

    return runtime


@pytest.fixture
def runner(runtime: Runtime, where: Where) -> Iterator[DefaultRunner]:
    with DefaultRunner(where.url, runtime=runtime) as opened:
        yield opened


def writing_connection(runner: DefaultRunner) -> sqlite3.Connection:
    writer = runner._require_engine()._kernel._writer
    assert isinstance(writer, GroupWriter)
    assert isinstance(writer._link, SqliteLink)
    return writer._link._connection


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_database_that_somebody_else_holds_is_waited_for(
    runner: DefaultRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner.execute("echo", {"n": 0})
    writing_connection(runner).execute("PRAGMA busy_timeout=10")
    refused = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "could not be written" in record.getMessage():
                refused.set()

    handler = Heard()
    logging.getLogger("cloacina").addHandler(handler)
    try:
        with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answers: list[object] = []
            thread = threading.Thread(
                target=lambda: answers.append(runner.execute("echo", {"n": 1}).final_context["n"])
            )
            thread.start()
            assert refused.wait(10)
            other.execute("ROLLBACK")
        thread.join(10)
    finally:
        logging.getLogger("cloacina").removeHandler(handler)
    assert answers == [1]


def refuse_long_inputs(runner: DefaultRunner, where: Where) -> None:
    if where.is_postgres:
        where.query("ALTER TABLE workflow_executions ADD CHECK (length(input) < 50000)")
    else:
        writing_connection(runner).setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000)


def test_a_row_that_the_database_refuses_is_traced_to_its_execution(
    runner: DefaultRunner, where: Where
) -> None:
    refuse_long_inputs(runner, where)
    small = [runner.submit("echo", {"n": n}) for n in range(5)]
    with pytest.raises(RejectedWriteError, match=r"too big|violates check"):
        runner.submit("echo", {"n": "x" * 60_000})
    assert [handle.wait(10).final_context["n"] for handle in small] == list(range(5))
    assert runner.execute("echo", {"n": "after"}).status == "Completed"


def test_an_engine_that_fails_tells_everybody_who_waits(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runner.execute("echo", {"n": 0})  # it is idle now: the submission itself meets the fault

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Planner, "take_unsaved", broken)
    with pytest.raises(KernelFailedError, match="a bug"):
        runner.submit("echo", {"n": 1})
    with pytest.raises(KernelFailedError, match="what was committed is safe"):
        runner.execute("echo", {"n": 1})


def test_a_new_runner_cleans_up_after_one_that_was_killed(runtime: Runtime, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from cloacina import DefaultRunner\n"
        "DefaultRunner(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "c.db"], check=False)
    sidecar = tmp_path / "c.db-runners"
    assert len(list(sidecar.iterdir())) == 2  # its lock and its bell
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        assert runner.execute("echo", {"n": 1}).status == "Completed"
        assert len(list(sidecar.iterdir())) == 2  # ours
    assert [path.name for path in tmp_path.iterdir()] == ["c.db"]


def test_a_copied_database_is_taken_over_at_its_new_place(runtime: Runtime, tmp_path: Path) -> None:
    began, release = threading.Event(), threading.Event()
    with collecting(runtime.collection), WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            began.set()
            assert release.wait(10)

    (tmp_path / "copy").mkdir()
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        handle = runner.submit("slow")
        assert began.wait(10)
        with (
            closing(sqlite3.connect(tmp_path / "c.db")) as source,
            closing(sqlite3.connect(tmp_path / "copy" / "c.db")) as target,
        ):
            source.backup(target)
        release.set()
        handle.wait(10)
        with DefaultRunner(tmp_path / "copy" / "c.db", runtime=runtime) as second:
            result = second.handle(handle.id).wait(10)
    assert (result.status, result.tasks["waits"].attempts) == ("Completed", 2)


@pytest.mark.parametrize(("where", "count"), [("sqlite", 8), ("postgres", 4)], indirect=["where"])
def test_many_processes_on_one_database_never_see_it_locked(
    where: Where, count: int, tmp_path: Path
) -> None:
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from cloacina import DefaultRunner, WorkflowBuilder, task
with WorkflowBuilder("one"):
    task(id="a")(lambda context: None)
with DefaultRunner(sys.argv[1]) as runner, ThreadPoolExecutor(8) as pool:
    results = list(pool.map(lambda n: runner.execute("one"), range(40)))
print({result.status for result in results})
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, where.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(count)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert outputs == ["{'Completed'}\n"] * count
    query = "SELECT count(*) FROM workflow_executions WHERE status = 'Completed'"
    assert where.query(query) == [(40 * count,)]
    assert where.query("SELECT count(*) FROM runners") == [(0,)]
    assert os.listdir(tmp_path) == ([] if where.is_postgres else ["c.db"])  # noqa: PTH208 - names are what is compared


def test_what_an_exception_says_is_stored_even_if_it_is_no_text(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    with collecting(runtime.collection), WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def odd(_context: Context) -> None:
            raise ValueError("a\0b \ud800")

    message = runner.execution(runner.submit("odd").wait(10).execution_id).error_message
    assert message == "task 'odd' failed: ValueError: a\\x00b \\ud800"


def test_a_number_that_the_database_has_no_room_for_is_refused(runner: DefaultRunner) -> None:
    with pytest.raises(RejectedWriteError):
        runner.submit("echo", {"n": 1}, priority=2**70)
    assert runner.execute("echo", {"n": 1}).status == "Completed"
