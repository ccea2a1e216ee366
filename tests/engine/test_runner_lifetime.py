"""How runners begin and end, and what they leave behind."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    ForkedRunnerError,
    RunnerClosedError,
)
from cloacina.store.sqlite import SqliteDatabase
from cloacina_sdk.collect import collecting
from cloacina_sdk.hooks import ExecutionInfo, hookimpl
from engine.databases import Where
from engine.gate import Gate
from engine.workflows import a_noop


def test_a_closed_runner_refuses_work_and_says_what_to_do(runtime: Runtime, where: Where) -> None:
    a_noop("w")
    runner = DefaultRunner(where.url, runtime=runtime)
    runner.shutdown()
    runner.shutdown()
    with pytest.raises(RunnerClosedError, match="make a new DefaultRunner"):
        runner.submit("w")


def test_shutdown_lets_a_running_task_end_and_the_next_runner_goes_on(
    runtime: Runtime, where: Where
) -> None:
    gate = Gate()
    gate.define("two")
    runner = DefaultRunner(where.url, runtime=runtime)
    handle = runner.submit("two")
    gate.await_body()
    closing = threading.Thread(target=runner.shutdown)
    closing.start()
    gate.open()
    closing.join(10)
    with pytest.raises(RunnerClosedError):
        handle.wait(0)
    assert gate.ran == ["first"]
    with DefaultRunner(where.url, runtime=runtime) as second:
        result = second.handle(handle.id).wait(10)
    assert (result.status, gate.ran) == ("Completed", ["first", "second"])


def test_an_execution_waits_in_the_database_until_its_workflow_is_known(
    where: Where,
) -> None:
    first, second = Runtime(), Runtime()
    gate = Gate()

    def define(runtime: Runtime) -> None:
        with collecting(runtime.collection):
            gate.define("late")

    define(first)
    runner = DefaultRunner(where.url, runtime=first)
    handle = runner.submit("late")
    gate.await_body()
    gate.open()
    runner.shutdown()
    with DefaultRunner(where.url, runtime=second) as other:
        waiting = other.handle(handle.id)
        assert waiting.status == "Running"
        define(second)
        assert waiting.wait(10).status == "Completed"


def test_a_second_runner_on_the_same_file_sees_the_end_of_the_first_ones_work(
    runner: DefaultRunner, where: Where
) -> None:
    release = threading.Event()
    with WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            assert release.wait(10)

    handle = runner.submit("slow")
    with DefaultRunner(where.url, runtime=Runtime()) as other:
        watched = other.handle(handle.id)
        release.set()
        assert watched.wait(10).status == "Completed"


def test_an_idle_runner_makes_no_statement(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    real_connect = sqlite3.connect

    def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = real_connect(*args, **kwargs)  # type: ignore[call-overload]  # passed through
        connection.set_trace_callback(statements.append)
        return connection  # type: ignore[no-any-return]  # what sqlite3 returns

    monkeypatch.setattr(sqlite3, "connect", connect)
    a_noop("w")
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        runner.execute("w")
        seen = len(statements)
        assert seen > 0
        assert not threading.Event().wait(0.5)  # half a second of nothing
        assert statements[seen:] == []


def test_a_private_database_leaves_nothing_behind(runtime: Runtime) -> None:
    a_noop("w")
    with DefaultRunner(":memory:", runtime=runtime) as runner:
        assert runner.execute("w").status == "Completed"
        database = runner._require_engine().database
        assert isinstance(database, SqliteDatabase)
        folder = database.path.parent
        assert folder.is_dir()
    assert not folder.exists()


def test_a_closed_runner_leaves_only_the_database_beside_itself(
    runtime: Runtime, tmp_path: Path
) -> None:
    a_noop("w")
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        runner.execute("w")
    assert [path.name for path in tmp_path.iterdir()] == ["c.db"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_runner_inherited_through_fork_says_so_in_the_child(runner: DefaultRunner) -> None:
    a_noop("w")

    def in_child() -> bytes:
        try:
            runner.submit("w")
        except ForkedRunnerError as error:
            return str(error).encode()
        return b"no error"

    assert b"make a DefaultRunner in the child" in _answer_of_a_fork(in_child)
    assert runner.execute("w").status == "Completed"


def _answer_of_a_fork(ask: Callable[[], bytes]) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, ask())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def test_a_hook_that_would_wait_for_the_engine_is_told_so(
    runner: DefaultRunner, caplog: pytest.LogCaptureFixture
) -> None:
    a_noop("w")

    class Impatient:
        @hookimpl
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
            runner.submit("w")

    runner.add_plugin(Impatient())
    assert runner.execute("w").status == "Completed"
    assert runner.execute("w").status == "Completed"
    assert "hand it to a thread of yours" in caplog.text
