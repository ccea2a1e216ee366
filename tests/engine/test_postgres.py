"""What only PostgreSQL has: leases, notifications, connections that break, a schema per tenant."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import WaitTimeoutError
from cloacina.store import ownership
from cloacina.store.postgres import PostgresDatabase
from cloacina.store.url import PostgresLocation
from engine.databases import HASTY, Where, a_server
from engine.waiting import eventually

PATIENT = DefaultRunnerConfig(lease_seconds=600, heartbeat_seconds=200, backstop_seconds=600)
"""For runners that learn of each other by notifications or not at all."""

LOOKING = PATIENT.copy(backstop_seconds=1)
"""For one that looks now and then whether what it waits for has ended elsewhere."""
ATTEMPTS = (
    "SELECT number, outcome FROM task_attempts WHERE execution_id = '{}' ORDER BY number, outcome"
)
HISTORY = "SELECT seq, kind FROM execution_events WHERE execution_id = '{}' ORDER BY seq"
Load = Callable[[str, Callable[[], object], int], None]
LOST_ONCE = [(1, "RunnerLost"), (2, "Succeeded")]
FIRST_LOST_ONCE = sorted([*LOST_ONCE, (1, "Succeeded")])
"""Of two tasks, the first of which was lost once."""


def define_slow(by: str) -> tuple[threading.Event, threading.Event]:
    """Define a workflow whose body says that it began and waits until it may end."""
    began, may_end = threading.Event(), threading.Event()
    with WorkflowBuilder("slow"):

        @task
        def waits(context: Context) -> None:
            began.set()
            assert may_end.wait(20)
            context["by"] = by

    return began, may_end


def define_two() -> tuple[threading.Event, threading.Event]:
    """Define a workflow of two tasks, the first of which says that it began and waits."""
    began, may_end = threading.Event(), threading.Event()
    with WorkflowBuilder("two"):

        @task
        def one(_context: Context) -> None:
            began.set()
            assert may_end.wait(10)

        @task(dependencies=[one])
        def two(_context: Context) -> None: ...

    return began, may_end


class Diary:
    """What bodies did, and how many entries there are to wait for."""

    def __init__(self) -> None:
        self.entries: list[tuple[object, str]] = []
        self._grown = threading.Condition()

    def note(self, number: object, task_id: str) -> None:
        with self._grown:
            self.entries.append((number, task_id))
            self._grown.notify_all()

    def wait_for_more(self, count: int) -> None:
        with self._grown:
            wanted = len(self.entries) + count
            assert self._grown.wait_for(lambda: len(self.entries) >= wanted, 30)


def define_chain(diary: Diary) -> None:
    with WorkflowBuilder("chain"):
        for name, before in (("a", []), ("b", ["a"]), ("c", ["b"])):

            def body(context: Context, name: str = name) -> None:
                diary.note(context["n"], name)

            task(id=name, dependencies=before, retry_attempts=1)(body)


def test_a_stopped_runner_is_taken_over_from_and_cannot_write_when_it_goes_on(
    postgres: Where, runtime: Runtime
) -> None:
    _, may_end = define_slow("the one who took over")
    may_end.set()
    target = Path(__file__).with_name("paused_target.py")
    environment = {**os.environ, "PYTHONPATH": str(target.parent.parent)}
    stopped = subprocess.Popen(
        [sys.executable, target, postgres.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert stopped.stdin is not None
    assert stopped.stdout is not None
    assert stopped.stdout.readline() == "began\n"
    stopped.send_signal(signal.SIGSTOP)
    with DefaultRunner(postgres.url, runtime=runtime, config=HASTY) as runner:
        (found,) = runner.executions()
        result = runner.handle(found.execution_id).wait(20)
        history = postgres.query(HISTORY.format(found.execution_id))
        stopped.stdin.write("\n")  # its body ends as soon as it goes on
        stopped.stdin.flush()
        stopped.send_signal(signal.SIGCONT)
        assert stopped.stdout.readline() == "the one who took over\n"  # it waited on
        assert stopped.stdout.readline() == "began\n"  # it has joined again
        assert runner.execution(found.execution_id).final_context["by"] == "the one who took over"
    assert (result.status, result.final_context["by"]) == ("Completed", "the one who took over")
    out, _ = stopped.communicate("\n", timeout=20)
    assert out == "Completed\n"
    assert postgres.query(ATTEMPTS.format(found.execution_id)) == LOST_ONCE
    assert postgres.query(HISTORY.format(found.execution_id)) == history
    assert [seq for seq, _ in history] == list(range(1, len(history) + 1))


def test_a_runner_that_was_evicted_takes_back_what_nobody_else_took(
    postgres: Where, runtime: Runtime
) -> None:
    began, may_end = define_slow("it")
    with DefaultRunner(postgres.url, runtime=runtime, config=HASTY) as runner:
        handle = runner.submit("slow")
        assert began.wait(10)
        began.clear()
        database = an_open_database(postgres)
        with database.write() as connection:  # what another runner does that has no such workflow
            ownership.release(connection, ownership.runner_ids(connection))
        database.close()
        assert began.wait(10)
        may_end.set()
        assert runner.handle(handle.id).wait(10).status == "Completed"
        assert runner.execute("slow").status == "Completed"
    assert postgres.query(ATTEMPTS.format(handle.id)) == LOST_ONCE


A_LIVING_RUNNER = (
    "INSERT INTO runners (id, host, process_id, started_at, lease_until) "
    "VALUES ('other', 'h', 1, '', now() + interval '1 hour')"
)


def test_a_commit_is_lost_as_a_whole_once_another_runner_owns_the_execution(
    postgres: Where, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    began, may_end = define_two()
    with DefaultRunner(postgres.url, runtime=runtime, config=LOOKING) as runner:
        handle = runner.submit("two")
        assert began.wait(10)
        history = postgres.query(HISTORY.format(handle.id))
        postgres.query(A_LIVING_RUNNER)  # or this runner may claim it back meanwhile
        postgres.query("UPDATE workflow_executions SET owner = 'other', epoch = epoch + 1")
        may_end.set()
        eventually(lambda: "another runner took over" in caplog.text)
        assert postgres.query(HISTORY.format(handle.id)) == history
        assert postgres.query(ATTEMPTS.format(handle.id)) == [(1, None)]
        assert runner.execute("two").status == "Completed"
        with pytest.raises(WaitTimeoutError):
            handle.wait(0.01)
        postgres.query("UPDATE workflow_executions SET owner = NULL")
        postgres.query("DELETE FROM runners WHERE id = 'other'")
        with DefaultRunner(postgres.url, runtime=runtime, config=PATIENT):  # one of both takes it
            assert handle.wait(20).status == "Completed"
    assert postgres.query(ATTEMPTS.format(handle.id)) == FIRST_LOST_ONCE


def test_a_commit_is_lost_as_a_whole_once_its_runner_was_evicted(
    postgres: Where, runtime: Runtime
) -> None:
    began, may_end = define_two()
    with DefaultRunner(postgres.url, runtime=runtime, config=PATIENT) as runner:
        handle = runner.submit("two")
        assert began.wait(10)
        database = an_open_database(postgres)
        with database.write() as connection:
            ownership.release(connection, ownership.runner_ids(connection))
        database.close()
        may_end.set()
        assert handle.wait(20).status == "Completed"
    assert postgres.query(ATTEMPTS.format(handle.id)) == FIRST_LOST_ONCE


def an_open_database(where: Where, schema: str = "public") -> PostgresDatabase:
    return PostgresDatabase(PostgresLocation(url=where.url, schema=schema), lease_s=15)


def test_a_runner_that_is_writing_is_not_evicted_meanwhile(postgres: Where) -> None:
    database = an_open_database(postgres)
    add = "INSERT INTO runners VALUES ('r', 'h', 1, '', now() - interval '1 hour')"
    postgres.query(add)
    with database.write() as writing:
        assert ownership.hold(writing, "r")
        with database.write() as other:
            assert ownership.evict(other, but="me") == []
    with database.write() as other:
        assert ownership.evict(other, but="me") == ["r"]
    with database.write() as writing:
        assert not ownership.hold(writing, "r")
    database.close()


def test_what_one_runner_is_claiming_another_passes_over(postgres: Where, runtime: Runtime) -> None:
    _, may_end = define_slow("nobody")
    may_end.set()
    with DefaultRunner(postgres.url, runtime=runtime, config=PATIENT) as runner:
        ids = [runner.submit("slow").id for _ in range(3)]
        for execution_id in ids:
            runner.handle(execution_id).wait(10)
    postgres.query("UPDATE workflow_executions SET status = 'Running', owner = NULL, epoch = 1")
    database = an_open_database(postgres)
    with database.write() as one:
        claimed = ownership.claim(one, "r1", lambda found: found.identity.execution_id != ids[2])
        with database.write() as two:
            assert ownership.claim(two, "r2", lambda _found: True) == [ids[2]]
    assert claimed == ids[:2]
    owners = postgres.query("SELECT owner, epoch FROM workflow_executions ORDER BY id")
    assert owners == [("r1", 2), ("r1", 2), ("r2", 2)]
    database.close()


def test_runners_that_start_together_share_what_is_left_over(
    postgres: Where, runtime: Runtime
) -> None:
    count = 60
    ran: list[tuple[object, str]] = []
    began, may_end = threading.Event(), threading.Event()
    with WorkflowBuilder("gated"):

        @task(retry_attempts=1)
        def gate(_context: Context) -> None:
            began.set()
            assert may_end.wait(20)

        @task(retry_attempts=1, dependencies=[gate])
        def then(context: Context) -> None:
            ran.append((context["n"], "then"))

    first = DefaultRunner(postgres.url, runtime=runtime, config=HASTY)
    ids = [first.submit("gated", {"n": n}).id for n in range(count)]
    assert began.wait(10)
    closing = threading.Thread(target=first.shutdown)
    closing.start()
    may_end.set()
    closing.join(20)
    assert ran == []
    with ThreadPoolExecutor(3) as pool:
        opened = [
            pool.submit(DefaultRunner, postgres.url, runtime=runtime, config=HASTY)
            for _ in range(3)
        ]
        runners = [each.result() for each in opened]
        results = [runners[n % 3].handle(id).wait(30) for n, id in enumerate(ids)]
        list(pool.map(DefaultRunner.shutdown, runners))
    assert {result.status for result in results} == {"Completed"}
    assert Counter(ran) == Counter((n, "then") for n in range(count))
    assert postgres.query("SELECT DISTINCT epoch FROM workflow_executions") == [(2,)]


@pytest.fixture
def load(postgres: Where, runtime: Runtime) -> Load:
    """Run chains from several threads, disturb them, and compare what ran with what is stored."""

    def run(url: str, disturb: Callable[[], object], disturbances: int) -> None:
        diary = Diary()
        define_chain(diary)
        stop = threading.Event()
        numbers = iter(range(1_000_000))

        def work(runner: DefaultRunner) -> set[str]:
            statuses = set()
            while not stop.is_set():
                statuses.add(runner.execute("chain", {"n": next(numbers)}).status)
            return statuses

        with DefaultRunner(url, runtime=runtime) as runner, ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work, runner) for _ in range(4)]
            for _ in range(disturbances):
                diary.wait_for_more(20)
                disturb()
            diary.wait_for_more(20)
            stop.set()
            assert [each.result(30) for each in working] == [{"Completed"}] * 4
        compare(Where(url=url, is_postgres=True), diary.entries)

    return run


def compare(where: Where, ran: list[tuple[object, str]]) -> None:
    (row,) = where.query("SELECT count(*) FROM workflow_executions WHERE status = 'Completed'")
    assert set(Counter(ran).values()) == {1}
    assert len(ran) == 3 * row[0]
    assert where.query("SELECT number, outcome, count(*) FROM task_attempts GROUP BY 1, 2") == [
        (1, "Succeeded", len(ran))
    ]
    gaps = "SELECT execution_id FROM execution_events GROUP BY 1 HAVING count(*) <> max(seq)"
    assert where.query(gaps) == []


TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def test_connections_that_break_under_load_lose_and_repeat_nothing(
    postgres: Where, load: Load
) -> None:
    load(postgres.url, lambda: postgres.query(TERMINATE), 15)


def test_a_server_that_restarts_under_load_loses_and_repeats_nothing(
    load: Load,
) -> None:
    with a_server(uuid4().hex[:12]) as server:
        load(server.url, server.restart, 2)


@pytest.mark.parametrize("moment", ["before the server has it", "after the server has it"])
def test_a_commit_whose_answer_is_lost_takes_effect_once(
    postgres: Where, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    diary = Diary()
    define_chain(diary)
    lost: list[str] = []
    real_execute = psycopg.Connection.execute

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if query == "COMMIT" and len(lost) < 4 and len(diary.entries) >= len(lost):
            lost.append(threading.current_thread().name)
            if moment.startswith("after"):
                real_execute(self, query, *arguments, **options)
                self._pipeline.sync()
            self.close()
        return real_execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    with DefaultRunner(postgres.url, runtime=runtime, config=PATIENT) as runner:
        results = [runner.execute("chain", {"n": n}) for n in range(2)]
    assert lost == ["cloacina-kernel"] * 4
    assert {result.status for result in results} == {"Completed"}
    compare(postgres, diary.entries)


def test_a_transaction_that_its_runner_leaves_open_is_ended_by_the_server(
    postgres: Where, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary()
    define_chain(diary)
    locked: list[tuple[Any, ...]] = []
    impatient = postgres.with_option("lock_timeout", "10s")
    real_sync = psycopg.Pipeline.sync

    def sync(self: psycopg.Pipeline) -> None:
        real_sync(self)
        if diary.entries and not locked:  # stop between the statements and the commit
            locked.extend(impatient.query("SELECT id FROM runners FOR UPDATE"))

    monkeypatch.setattr(psycopg.Pipeline, "sync", sync)
    with DefaultRunner(postgres.url, runtime=runtime, config=HASTY) as runner:
        assert runner.execute("chain", {"n": 1}).status == "Completed"
    assert len(locked) == 1
    compare(postgres, diary.entries)


def test_a_runner_can_be_shut_down_while_its_database_is_away(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    began, may_end = define_slow("it")
    config = DefaultRunnerConfig(shutdown_timeout_seconds=0.2)
    with a_server(uuid4().hex[:12]) as server:
        runner = DefaultRunner(server.url, runtime=runtime, config=config)
        handle = runner.submit("slow")
        assert began.wait(10)
    may_end.set()
    runner.shutdown()
    with pytest.raises(Exception, match=r"could not be written|shut down"):
        handle.wait(5)
    assert "the others take over when the lease has run out" in caplog.text


def test_the_end_of_anothers_work_is_heard_without_polling(
    postgres: Where, runtime: Runtime
) -> None:
    began, may_end = define_slow("it")
    with (
        DefaultRunner(postgres.url, runtime=runtime, config=PATIENT) as runner,
        DefaultRunner(postgres.url, runtime=Runtime(), config=PATIENT) as other,
    ):
        watched = other.handle(runner.submit("slow").id)
        assert began.wait(10)
        may_end.set()
        assert watched.wait(10).status == "Completed"


def test_what_a_leaving_runner_leaves_is_taken_without_polling(
    postgres: Where, runtime: Runtime
) -> None:
    began, may_end = define_two()
    first = DefaultRunner(postgres.url, runtime=runtime, config=PATIENT)
    with DefaultRunner(postgres.url, runtime=runtime, config=PATIENT) as second:
        handle = first.submit("two")
        assert began.wait(10)
        closing = threading.Thread(target=first.shutdown)
        closing.start()
        may_end.set()
        closing.join(10)
        assert second.handle(handle.id).wait(10).status == "Completed"


def test_an_idle_runner_makes_no_statement_but_renewals_and_looks(
    postgres: Where, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    real_execute = psycopg.Cursor.execute

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(query.decode() if isinstance(query, bytes) else str(query))
        return real_execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", execute)
    define_chain(Diary())
    with DefaultRunner(postgres.url, runtime=runtime, config=HASTY) as runner:
        runner.execute("chain", {"n": 1})
        begin = len(statements)
        assert begin > 10
        assert not threading.Event().wait(1.1)  # a second of nothing
        idle = statements[begin:]
    renewals = [each for each in idle if each.startswith("UPDATE public.runners SET lease_until")]
    looks = [each for each in idle if each.startswith("SELECT") or each == ";"]  # or a ping
    assert 3 <= len(renewals) <= 6  # each fifth of a second
    assert len(looks) <= 6  # once or twice, two statements and a ping each
    assert {*idle} == {*renewals, *looks}
