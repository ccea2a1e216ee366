"""The history of an execution, read and followed, from this process and from others."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, timedelta

import pytest
import sqlalchemy.event

from cloacina import (
    Context,
    DefaultRunner,
    ExecutionEvent,
    Fatal,
    Runtime,
    WorkflowBuilder,
    task,
    task_failed,
)
from cloacina.errors import ExecutionNotFoundError, InvalidConfigError, RunnerClosedError
from cloacina.model.states import EXECUTION_MOVES, TASK_MOVES, ExecutionStatus, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState
from cloacina.store import events
from cloacina.store.sqlite import SqliteDatabase
from cloacina_sdk.collect import collecting
from engine.databases import Where
from engine.gate import Gate

PATIENCE_S = 60.0


@pytest.fixture
def runtime(gate: Gate) -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        with WorkflowBuilder("w"):

            @task
            def first(_context: Context) -> None:
                gate.pass_through()

            @task(dependencies=[first])
            def second(_context: Context) -> None: ...

        with WorkflowBuilder("varied"):
            calls: list[int] = []

            @task(retry_attempts=2, retry_delay_ms=1)
            def flaky(_context: Context) -> None:
                calls.append(1)
                if len(calls) == 1:
                    raise OSError("not yet")

            @task(dependencies=[flaky])
            def fails(_context: Context) -> None:
                raise Fatal("never")

            @task(dependencies=[fails], trigger_rules=task_failed("fails"))
            def mends(_context: Context) -> None: ...

            @task(dependencies=[fails])
            def skipped(_context: Context) -> None: ...

        yield own


def kinds(found: list[ExecutionEvent]) -> list[tuple[str, str | None]]:
    return [(event.kind, event.task) for event in found]


def test_the_history_of_what_has_ended_is_whole_and_in_order(runner: DefaultRunner) -> None:
    result = runner.execute("varied", timeout=PATIENCE_S)
    found = list(runner.events(result.execution_id))
    assert [event.sequence for event in found] == list(range(1, len(found) + 1))
    assert kinds(found) == [
        ("execution_submitted", None),
        ("task_started", "flaky"),
        ("task_retrying", "flaky"),
        ("task_started", "flaky"),
        ("task_completed", "flaky"),
        ("task_started", "fails"),
        ("task_failed", "fails"),
        ("task_skipped", "skipped"),
        ("task_started", "mends"),
        ("task_completed", "mends"),
        ("execution_completed", None),
    ]
    assert found[2].detail == "not yet"
    assert found[6].detail == "cloacina_sdk.signals.Fatal: never"
    assert found[0].at.utcoffset() == timedelta(0)
    assert found[0].at.tzinfo is UTC
    assert list(runner.events(result.execution_id, after=len(found) - 1)) == found[-1:]
    assert list(runner.events(result.execution_id, after=len(found))) == []


def test_an_execution_is_followed_to_its_end(runner: DefaultRunner, gate: Gate) -> None:
    handle = runner.submit("w")
    stream = handle.events()
    assert [next(stream).kind for _ in range(2)] == ["execution_submitted", "task_started"]
    gate.await_body()
    now = list(handle.events(follow=False))
    assert kinds(now) == [("execution_submitted", None), ("task_started", "first")]
    with ThreadPoolExecutor(1) as pool:
        rest: Future[list[ExecutionEvent]] = pool.submit(list, stream)
        handle.pause()
        handle.resume()
        gate.open()
        assert kinds(rest.result(PATIENCE_S)) == [
            ("execution_paused", None),
            ("execution_resumed", None),
            ("task_completed", "first"),
            ("task_started", "second"),
            ("task_completed", "second"),
            ("execution_completed", None),
        ]


def test_an_execution_is_followed_on_an_event_loop(runner: DefaultRunner, gate: Gate) -> None:
    async def follow() -> list[ExecutionEvent]:
        found = []
        async for event in runner.submit("w").events():
            found.append(event)
            if event.kind == "task_started":
                gate.open()
        return found

    found = asyncio.run(asyncio.wait_for(follow(), PATIENCE_S))
    assert found[-1].kind == "execution_completed"
    assert len(found) == 6


def test_a_runner_follows_what_another_runner_does(
    runner: DefaultRunner, where: Where, gate: Gate
) -> None:
    handle = runner.submit("w")
    with (
        DefaultRunner(where.url, runtime=Runtime()) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        stream = other.events(handle.id)
        assert next(stream).sequence == 1
        rest: Future[list[ExecutionEvent]] = pool.submit(list, stream)
        gate.await_body()
        gate.open()
        assert [e.kind for e in rest.result(PATIENCE_S)][-1] == "execution_completed"


_WORKER = """
import sys
from cloacina import DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting
own = Runtime()
with collecting(own.collection), WorkflowBuilder("steps"):
    task(id="a")(lambda context: print("in a", flush=True) or sys.stdin.readline() and None)
    task(id="b", dependencies=["a"])(lambda context: None)
with DefaultRunner(sys.argv[1], runtime=own) as runner:
    handle = runner.submit("steps")
    print(handle.id, flush=True)
    handle.wait(60)
"""


def test_another_process_is_followed(where: Where) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, where.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    said = [process.stdout.readline().strip() for _ in range(2)]
    (execution_id,) = [line for line in said if line != "in a"]
    with DefaultRunner(where.url, runtime=Runtime()) as runner:
        stream = runner.events(execution_id)
        assert [next(stream).kind for _ in range(2)] == ["execution_submitted", "task_started"]
        with ThreadPoolExecutor(1) as pool:
            rest: Future[list[ExecutionEvent]] = pool.submit(list, stream)
            process.stdin.write("go\n")
            process.stdin.flush()
            assert kinds(rest.result(PATIENCE_S)) == [
                ("task_completed", "a"),
                ("task_started", "b"),
                ("task_completed", "b"),
                ("execution_completed", None),
            ]
    assert process.wait(PATIENCE_S) == 0
    process.stdin.close()
    process.stdout.close()


def test_following_makes_no_statement_while_nothing_happens(
    runtime: Runtime, tmp_path: object, gate: Gate
) -> None:
    with DefaultRunner(f"{tmp_path}/c.db", runtime=runtime) as runner:
        handle = runner.submit("w")
        gate.await_body()
        stream = handle.events(after=2)
        database = runner._require_engine().database
        assert isinstance(database, SqliteDatabase)
        statements: list[str] = []
        looked = threading.Event()

        def note(_c: object, _k: object, statement: str, *_: object) -> None:
            statements.append(statement)
            if "execution_events" in statement:
                looked.set()

        sqlalchemy.event.listen(database.engine, "before_cursor_execute", note)
        with ThreadPoolExecutor(1) as pool:
            rest: Future[list[ExecutionEvent]] = pool.submit(list, stream)
            assert looked.wait(PATIENCE_S)
            assert not stream._woken.wait(0.5)  # it waits, and nobody wakes it
            assert sum("execution_events" in each for each in statements) == 1
            gate.open()
            assert len(rest.result(PATIENCE_S)) == 4


def test_a_stream_that_is_closed_ends_and_one_of_a_closed_runner_says_so(
    runner: DefaultRunner, where: Where, gate: Gate
) -> None:
    handle = runner.submit("w")
    with handle.events() as closed:
        next(closed)
    assert list(closed) == []
    gate.await_body()
    other = DefaultRunner(where.url, runtime=Runtime())
    stream = other.events(handle.id)
    assert next(stream).sequence == 1
    with ThreadPoolExecutor(1) as pool:
        rest: Future[list[ExecutionEvent]] = pool.submit(list, stream)
        other.shutdown()
        with pytest.raises(RunnerClosedError):
            rest.result(PATIENCE_S)
    with pytest.raises(RunnerClosedError):
        other.events(handle.id)


def test_an_abandoned_stream_is_let_go(runner: DefaultRunner, gate: Gate) -> None:
    handle = runner.submit("w")
    streams = runner._require_engine().bulletin._streams
    for event in handle.events():
        assert event.sequence == 1
        break
    assert len(streams) == 0
    gate.open()
    handle.wait(PATIENCE_S)


def test_more_events_than_a_page_are_read_in_order(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE", 3)
    result = runner.execute("varied", timeout=PATIENCE_S)
    for follow in (True, False):
        found = list(runner.events(result.execution_id, follow=follow))
        assert [event.sequence for event in found] == list(range(1, 12))


def test_nonsense_is_refused(runner: DefaultRunner) -> None:
    with pytest.raises(ExecutionNotFoundError):
        next(runner.events("nobody"))
    for after in (-1, True, "1"):
        with pytest.raises(InvalidConfigError, match="after"):
            runner.events("nobody", after=after)  # type: ignore[arg-type]  # on purpose


def test_every_move_of_a_run_has_its_event(
    runner: DefaultRunner,
    runtime: Runtime,
    where: Where,
    monkeypatch: pytest.MonkeyPatch,
    gate: Gate,
) -> None:
    """Each call that moves a task or an execution is followed by an event about it."""
    unsaid: list[str] = []
    moved: dict[tuple[str, int | None], str] = {}
    record = ExecutionState.record
    task_move, move = TaskState.move, ExecutionState.move
    assert TASK_MOVES.keys() == set(TaskStatus)
    assert EXECUTION_MOVES.keys() == set(ExecutionStatus)

    def note_record(
        self: ExecutionState, kind: str, at_us: int, task: int | None = None, detail: str = ""
    ) -> None:
        for known in [key for key in moved if key[0] in {self.id, ""} and key[1] == task]:
            del moved[known]
        record(self, kind, at_us, task, detail)

    def note_task_move(self: TaskState, status: TaskStatus, *sub_status: object) -> None:
        moved["", self.number] = f"{self.status} -> {status}"
        task_move(self, status, *sub_status)  # type: ignore[arg-type]  # passed through

    def note_move(self: ExecutionState, status: ExecutionStatus) -> None:
        moved[self.id, None] = f"{self.status} -> {status}"
        move(self, status)

    def note_saved(self: ExecutionState) -> None:
        if self.stored_status is not None:
            unsaid.extend(moved.values())
        moved.clear()
        mark_saved(self)

    mark_saved = ExecutionState.mark_saved
    monkeypatch.setattr(ExecutionState, "record", note_record)
    monkeypatch.setattr(TaskState, "move", note_task_move)
    monkeypatch.setattr(ExecutionState, "move", note_move)
    monkeypatch.setattr(ExecutionState, "mark_saved", note_saved)
    runner.execute("varied", timeout=PATIENCE_S)
    handle = runner.submit("w")
    gate.await_body()
    handle.pause()
    handle.resume()
    handle.cancel()
    gate.open()
    handle.wait(PATIENCE_S)
    found = [event.kind for event in runner.events(handle.id)]
    assert "task_cancelled" in found
    assert found[-1] == "execution_cancelled"
    assert unsaid == []
