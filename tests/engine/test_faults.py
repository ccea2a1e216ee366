"""What the engine does when the database, a plugin or itself misbehaves."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    KernelFailedError,
    RejectedWriteError,
    RunnerClosedError,
    StoreUnavailableError,
)
from cloacina.planner.planner import Planner
from cloacina.store import sqlite
from cloacina.store.batch import Batch
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.sqlite_link import SqliteLink
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter, Link, RefusedError
from cloacina_sdk.collect import collecting
from cloacina_sdk.hooks import ExecutionInfo, hookimpl
from engine.databases import Where
from engine.gate import Gate
from engine.graphs import World
from engine.test_planner import CHAIN


@pytest.fixture
def runtime() -> Runtime:
    runtime = Runtime()
    with collecting(runtime.collection), WorkflowBuilder("echo"):

        @task(retry_attempts=1)
        def echo(context: Context) -> None:
            context["echoed"] = context["n"]

    return runtime


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
    gate = Gate()
    with collecting(runtime.collection), WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            gate.pass_through()

    (tmp_path / "copy").mkdir()
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        handle = runner.submit("slow")
        gate.await_body()
        with (
            closing(sqlite3.connect(tmp_path / "c.db")) as source,
            closing(sqlite3.connect(tmp_path / "copy" / "c.db")) as target,
        ):
            source.backup(target)
        gate.open()
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


def test_a_damaged_execution_does_not_keep_the_others_from_going_on(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    with collecting(runtime.collection):
        gate.define("two")

    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as first:
        handles = [first.submit("two") for _ in range(2)]
        gate.await_body()
        for handle in handles:
            handle.pause()
        gate.open()
    damaged, sound = (handle.id for handle in handles)
    with closing(sqlite3.connect(tmp_path / "c.db")) as database, database:
        query = "UPDATE task_executions SET changes = '{broken' WHERE execution_id = ?"
        database.execute(query, (damaged,))
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
        second.resume(sound)
        assert second.handle(sound).wait(10).status == "Completed"
    assert f"execution {damaged} cannot be read" in caplog.text


class Stumbling:
    """A link that does not work at the calls that are named, and refuses what is bad."""

    def __init__(self, link: Link, busy_calls: frozenset[int]) -> None:
        self._link = link
        self._busy_calls = busy_calls
        self._calls = 0

    def write(self, batch: Batch) -> None:
        self._calls += 1
        if self._calls in self._busy_calls:
            raise StoreUnavailableError("the database could not be written: it is away")
        if any('"bad"' in str(row) for row in batch.rows["executions"]):
            raise RefusedError(ValueError("bad"))
        self._link.write(batch)

    def close(self) -> None:
        self._link.close()


def test_a_database_that_gets_busy_while_a_batch_is_split_loses_nothing(
    runtime: Runtime, tmp_path: Path
) -> None:
    database = SqliteDatabase(SqliteLocation(path=tmp_path / "c.db"))
    opened = database.open_writer("me")
    assert isinstance(opened, GroupWriter)
    writer = GroupWriter(Stumbling(opened._link, frozenset({3})), "me")
    world = World()
    batch = [
        world.submit(CHAIN, id=name, **({"bad": True} if name == "c" else {})) for name in "abcd"
    ]
    for execution in batch:
        execution.stored_status = None
        for state in execution.tasks:
            state.stored = None
            execution.touch(state)
    written = writer.commit(batch)
    while written.postponed:
        left, written.postponed = written.postponed, []
        written.add(writer.commit(left))
    assert sorted(execution.id for execution in written.saved) == ["a", "b", "d"]
    assert [execution.id for execution, _ in written.rejected] == ["c"]
    assert written.lost == []
    writer.close()
    database.close()


def test_what_an_engine_had_that_failed_is_taken_over_by_another(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with collecting(runtime.collection), WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            gate.pass_through()

    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as first:
        handle = first.submit("slow")
        gate.await_body()
        with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
            waiting = second.handle(handle.id)
            kernel = first._require_engine()._kernel

            def broken(*_: object) -> None:
                raise ZeroDivisionError("a bug")

            monkeypatch.setattr(kernel._planner, "take_unsaved", broken)
            with pytest.raises(KernelFailedError):
                first.submit("echo", {"n": 1})
            gate.open()
            assert waiting.wait(10).status == "Completed"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_keep_its_parents_turn_to_write(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from cloacina import DefaultRunner
runner = DefaultRunner(sys.argv[1])
with runner._require_engine().database.turn():
    child = os.fork()
    if child == 0:
        signal.pause()
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, tmp_path / "c.db"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.wait(10)
    parent.stdout.close()
    try:
        with DefaultRunner(tmp_path / "c.db", runtime=Runtime()) as runner:
            assert runner.executions() == []
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_runner_can_be_shut_down_while_somebody_else_holds_the_database(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    config = DefaultRunnerConfig(shutdown_timeout_seconds=0.1)
    runner = DefaultRunner(tmp_path / "c.db", runtime=runtime, config=config)
    runner.execute("echo", {"n": 0})
    with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        submitting = threading.Thread(target=lambda: refused(runner))
        submitting.start()
        closing_down = threading.Thread(target=runner.shutdown)
        closing_down.start()
        closing_down.join(60)
        assert not closing_down.is_alive()
        submitting.join(10)
        other.execute("ROLLBACK")
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
        assert second.execute("echo", {"n": 1}).status == "Completed"


def refused(runner: DefaultRunner) -> None:
    with pytest.raises(RunnerClosedError):
        runner.submit("echo", {"n": 1})


def test_a_task_may_shut_its_own_runner_down(runtime: Runtime, tmp_path: Path) -> None:
    done = threading.Event()
    with collecting(runtime.collection), WorkflowBuilder("closes"):

        @task(retry_attempts=1)
        def closes(_context: Context) -> None:
            opened.shutdown()
            done.set()

    config = DefaultRunnerConfig(shutdown_timeout_seconds=0.1)
    opened = DefaultRunner(tmp_path / "c.db", runtime=runtime, config=config)
    handle = opened.submit("closes")
    assert done.wait(20)
    with pytest.raises(RunnerClosedError):
        handle.wait(10)
    assert [path.name for path in tmp_path.iterdir()] == ["c.db"]


def test_a_hook_that_tries_to_end_the_process_is_left_aside(runner: DefaultRunner) -> None:
    class Quits:
        @hookimpl
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
            raise SystemExit(3)

    runner.add_plugin(Quits())
    assert runner.execute("echo", {"n": 1}).status == "Completed"
    assert runner.execute("echo", {"n": 2}).status == "Completed"


def test_a_plugin_that_wraps_a_hook_is_refused(runner: DefaultRunner) -> None:
    class Wraps:
        @hookimpl(wrapper=True)
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> Iterator[None]:
            yield

    with pytest.raises(ValueError, match="cannot be wrapped"):
        runner.add_plugin(Wraps())


def test_what_an_exception_says_is_stored_even_if_it_is_no_text(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    with collecting(runtime.collection), WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def odd(_context: Context) -> None:
            raise ValueError("a\0b \ud800")

    message = runner.execution(runner.submit("odd").wait(10).execution_id).error_message
    assert message == "task 'odd' failed: ValueError: a\\x00b \\ud800"


def test_a_number_that_the_database_has_no_room_for_is_refused(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloacina.runner.submission.MOST_URGENT", 2**80)  # else it gets no further
    with pytest.raises(RejectedWriteError):
        runner.submit("echo", {"n": 1}, priority=2**70)
    assert runner.execute("echo", {"n": 1}).status == "Completed"
