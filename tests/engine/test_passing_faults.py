"""Work goes on when the cause of a fault is gone, and whoever waits is told if it cannot."""

import asyncio
import logging
import os
import queue
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import (
    EngineError,
    KernelFailedError,
    RunningLoopError,
    StoreUnavailableError,
)
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.requests import LookAround
from cloacina.ownership import presence, watch
from cloacina.ownership.file_neighbours import FileNeighbours
from cloacina.planner.planner import Planner
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation
from cloacina_sdk.collect import collecting
from engine.databases import Where
from engine.waiting import DEADLINE_S, eventually


@pytest.fixture
def runtime() -> Runtime:
    runtime = Runtime()
    with collecting(runtime.collection), WorkflowBuilder("echo"):

        @task(retry_attempts=1)
        def echo(context: Context) -> None:
            context["echoed"] = context["n"]

    with collecting(runtime.collection), WorkflowBuilder("fails"):

        @task(retry_attempts=1)
        def fails(_context: Context) -> None:
            raise ValueError("bad")

    return runtime


def kernel_of(runner: DefaultRunner) -> Kernel:
    return runner._require_engine()._kernel


def test_a_pool_that_is_exhausted_is_a_database_that_is_busy(runner: DefaultRunner) -> None:
    database = runner._require_engine().database
    database.engine.pool._timeout = 0.01  # type: ignore[attr-defined]
    with ExitStack() as held:

        def read_much() -> None:
            for _ in range(50):
                held.enter_context(database.read())

        with pytest.raises(StoreUnavailableError, match="QueuePool limit"):
            read_much()
    assert runner.execute("echo", {"n": 1}).status == "Completed"


@contextmanager
def raising(monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> Iterator[list[str]]:
    """Have a function fail as where no descriptor is free; say which calls did."""
    calls: list[str] = []

    def broken(*_: object, **__: object) -> None:
        calls.append(name)
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(target, name, broken)
        yield calls


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_lock_that_cannot_be_opened_is_looked_at_again(
    runner: DefaultRunner, runtime: Runtime, where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.execute("echo", {"n": 0})
    with DefaultRunner(where.url, runtime=runtime) as other:
        with raising(monkeypatch, presence, "_lock") as calls:
            kernel_of(runner).send(LookAround())
            eventually(lambda: calls)
            assert runner.execute("echo", {"n": 1}).status == "Completed"
        assert other.execute("echo", {"n": 2}).status == "Completed"
    assert runner.execute("echo", {"n": 3}).status == "Completed"


def test_the_watch_goes_on_after_a_bell_that_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (presence.Presence(tmp_path / "c.db", name) for name in ("here", "there"))
    notices: queue.SimpleQueue[None] = queue.SimpleQueue()
    watching = watch.Watch(here, lambda: notices.put(None), lambda: None)
    watching.follow(["there"])
    notices.get(timeout=DEADLINE_S)  # the watch rang itself, to begin with the new peer
    with raising(monkeypatch, watch, "is_bell_of"):
        there._drop()
        notices.get(timeout=DEADLINE_S)
    presence.ring(here.bell)
    notices.get(timeout=DEADLINE_S)
    watching.close()
    here.close()


def test_a_runner_that_could_not_join_again_can_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SqliteDatabase(SqliteLocation(path=tmp_path / "c.db"))
    here = FileNeighbours(database, "here", lambda _found: True, lambda: 0)
    here.join(0, lambda: None, slots=1)
    for name in ("mkfifo", "open"):
        with raising(monkeypatch, os, name), pytest.raises(StoreUnavailableError, match="Too many"):
            here.join_again()
    here.join_again()
    assert here.take_over() == ()
    here.leave()
    database.close()


def test_locks_and_bells_may_be_opened_by_whoever_may_open_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (x)")
        made.execute("DROP TABLE t")
    path.chmod(0o666)
    with DefaultRunner(path, runtime=Runtime()):
        sidecar = tmp_path / "c.db-runners"
        modes = {each.suffix: stat.S_IMODE(each.stat().st_mode) for each in sidecar.iterdir()}
        assert modes == {".lock": 0o666, ".bell": 0o666}
        assert stat.S_IMODE(sidecar.stat().st_mode) == 0o777


def test_looks_that_the_database_refuses_do_not_end_the_engine(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.execute("echo", {"n": 0})
    kernel = kernel_of(runner)
    refused: set[str] = set()
    methods = {"take_over", "commands", "answers", "taken", "see_offers"}

    def refuse(method: str) -> Callable[..., None]:
        def refusing(*_: object) -> None:
            refused.add(method)
            raise EngineError("the database is malformed")

        return refusing

    with monkeypatch.context() as patch:
        for method in methods:
            patch.setattr(kernel._neighbours, method, refuse(method))
        patch.setattr(type(kernel._waiters), "open_commands", ["one"])
        patch.setattr(type(kernel._planner), "awaited_keys", frozenset({"key"}))
        kernel.send(LookAround())
        eventually(lambda: refused == methods)
    assert runner.execute("echo", {"n": 1}).status == "Completed"


def test_a_filter_of_the_application_that_raises_does_not_end_the_engine(
    runner: DefaultRunner, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_record: logging.LogRecord) -> bool:
        raise LookupError("no such request")

    logger = logging.getLogger("cloacina.engine")
    caplog.set_level(logging.DEBUG, "cloacina.engine")
    logger.addFilter(broken)
    try:
        assert runner.execute("fails").status == "Failed"
    finally:
        logger.removeFilter(broken)
    assert runner.execute("echo", {"n": 1}).status == "Completed"
    assert "no such request" in capsys.readouterr().err
    assert all(record.module == "journal" for record in caplog.records if "ends" in record.message)


@pytest.mark.parametrize("asked", ["retry", "explain", "cancel", "migrate"])
def test_whoever_is_being_served_when_the_engine_fails_is_told(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    execution_id = runner.execute("fails").execution_id
    engine = runner._require_engine()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    neighbours = type(kernel_of(runner)._neighbours)
    for name in ("retry", "settle", "migrate"):
        monkeypatch.setattr(neighbours, name, broken)
    monkeypatch.setattr(Planner, "standing", broken)
    calls = {
        "retry": lambda: runner.retry_execution(execution_id),
        "explain": lambda: engine.standing(execution_id),
        "cancel": lambda: runner.cancel(execution_id, timeout=DEADLINE_S),
        "migrate": lambda: runner.migrate(execution_id, timeout=DEADLINE_S),
    }
    with ThreadPoolExecutor(1) as pool, pytest.raises(KernelFailedError, match="a bug"):
        pool.submit(calls[asked]).result(DEADLINE_S)


def test_waiting_where_an_event_loop_runs_is_refused(runner: DefaultRunner) -> None:
    async def main() -> None:
        handle = runner.submit("echo", {"n": 1})
        with pytest.raises(RunningLoopError, match=r"await handle\.wait_async"):
            handle.wait()
        with pytest.raises(RunningLoopError, match="async for"):
            next(handle.events())
        await handle.wait_async(DEADLINE_S)
        assert list(handle.events(follow=False))

    asyncio.run(main())
