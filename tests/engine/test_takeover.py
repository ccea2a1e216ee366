"""What an owner and whoever takes its execution over do to each other on PostgreSQL.

A stale batch and a takeover are interleaved by hand: the batch comes after it, while it is under
way, and after its runner has joined again.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from cloacina.errors import EvictedError
from cloacina.planner.events import AttemptEnded, Claimed
from cloacina.planner.execution import ExecutionState
from cloacina.store import ownership, reader
from cloacina.store.contract import Writer, Written
from cloacina.store.postgres import PostgresDatabase
from cloacina.store.url import PostgresLocation
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.retry import RetryPolicy
from engine.databases import Where
from engine.graphs import World, a_failure, a_task, a_workflow, assigned
from engine.waiting import eventually

AT_ONCE = RetryPolicy.builder().max_attempts(3).initial_delay(0).build()
HISTORY = "SELECT seq, kind FROM execution_events ORDER BY seq"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Runner:
    """A planner and its writer, moved by hand."""

    def __init__(self, database: PostgresDatabase, runner_id: str) -> None:
        self.id = runner_id
        self.world = World()
        self.database = database
        self.writer: Writer = database.open_writer(runner_id)
        self.join()

    def join(self) -> None:
        with self.database.write() as connection:
            ownership.register(
                connection,
                *(self.id, 1_000_000),
                host="h",
                process_id=1,
                slots=1,
                lease=timedelta(hours=1),
            )

    def commit(self) -> Written:
        written = self.writer.commit(self.world.planner.take_unsaved())
        for execution in written.saved:
            self.world.planner.saved(execution)
        return written

    def submit(self) -> ExecutionState:
        event = self.world.submission(a_workflow(a_task("a", retry=AT_ONCE), a_task("b", "a")))
        self.world.planner.step(event, self.world.now)
        assert self.commit().lost == []
        return self.world.planner_execution("e")

    def end(self, result: TaskFailure | None = None) -> None:
        token = self.world.planner_execution("e").tasks[0].token
        ended = AttemptEnded(
            execution_id="e",
            task_number=0,
            token=token or "",
            result=result or assigned(by=self.id),
        )
        self.world.planner.step(ended, self.world.now)

    def claim(self, connection: sa.Connection) -> list[str]:
        """Take over as a runner that looks around does, but for the commit."""
        assert ownership.hold(connection, self.id)
        ownership.evict(connection, but=self.id)
        claimed = ownership.claim(connection, self.id, lambda _found: True)
        for execution_id in claimed:
            stored = reader.load(connection, execution_id)
            self.world.planner.step(Claimed(stored=stored), self.world.now)
        return claimed


@pytest.fixture
def database(postgres: Where) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(PostgresLocation(url=postgres.url), lease_s=60)
    yield opened
    opened.close()


@pytest.fixture
def stale(database: PostgresDatabase, postgres: Where) -> Iterator[Runner]:
    """A runner whose lease is over, with an attempt that runs."""
    runner = Runner(database, "stale")
    runner.submit()
    postgres.query("UPDATE runners SET lease_until = '-infinity'")
    yield runner
    runner.writer.close()


@pytest.fixture
def heir(database: PostgresDatabase) -> Iterator[Runner]:
    runner = Runner(database, "heir")
    yield runner
    runner.writer.close()


@pytest.mark.parametrize("result", [None, a_failure()], ids=["succeeded", "failed"])
@pytest.mark.parametrize("has_joined_again", [False, True])
def test_a_stale_batch_misses_whatever_its_heir_has_written_under_the_same_numbers(
    postgres: Where,
    stale: Runner,
    heir: Runner,
    caplog: pytest.LogCaptureFixture,
    result: TaskFailure | None,
    has_joined_again: bool,
) -> None:
    with heir.database.write() as connection:
        assert heir.claim(connection) == ["e"]
    heir.commit()
    history = postgres.query(HISTORY)
    assert len(history) > 3  # it has more than the numbers that the stale batch would use
    stale.end(result)
    for _ in range(2_000):  # so many that the first refusal arrives before the last is sent
        stale.world.planner_execution("e").record("noted", 1)
    if has_joined_again:
        stale.join()
        assert [each.id for each in stale.commit().lost] == ["e"]
    else:
        with pytest.raises(EvictedError):
            stale.commit()
    assert postgres.query(HISTORY) == history
    assert [each for each in caplog.records if each.name == "psycopg"] == []
    stale.world.planner.forget("e")
    if not has_joined_again:
        stale.join()
    stale.world.planner.step(
        stale.world.submission(a_workflow(a_task("a")), "after"), stale.world.now
    )
    assert [each.id for each in stale.commit().saved] == ["after"]


@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_batch_waits_for_the_end_of_a_takeover_that_is_under_way(
    postgres: Where, stale: Runner, heir: Runner, is_carried_out: bool
) -> None:
    stale.end()
    may_write = threading.Event()

    def write() -> Written:
        assert may_write.wait(30)
        return stale.commit()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        with suppress(InterruptedError), heir.database.write() as connection:
            assert heir.claim(connection) == ["e"]
            may_write.set()
            eventually(lambda: postgres.query(WAITS) == [(1,)])
            if not is_carried_out:
                raise InterruptedError
        if is_carried_out:
            with pytest.raises(EvictedError):
                writing.result(30)
            assert [each.id for each in heir.commit().saved] == ["e"]
        else:
            assert [each.id for each in writing.result(30).saved] == ["e"]
    history = postgres.query(HISTORY)
    assert [seq for seq, _ in history] == list(range(1, len(history) + 1))
    assert ("execution_claimed" in {kind for _, kind in history}) == is_carried_out


SLOW_VIEW = """
    ALTER TABLE runners RENAME TO real_runners;
    CREATE FUNCTION may_pass() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
        PERFORM pg_advisory_lock_shared(1);
        RETURN pg_advisory_unlock_shared(1);
    END $$;
    CREATE VIEW runners AS SELECT * FROM real_runners WHERE may_pass()
"""
JOIN_AND_CLAIM = """
    INSERT INTO real_runners (id, host, process_id, started_at) VALUES ('new', 'h', 1, '');
    UPDATE workflow_executions SET owner = 'new', epoch = epoch + 1
"""


def test_what_a_runner_claimed_that_has_just_joined_is_not_taken_from_it(
    postgres: Where, database: PostgresDatabase, stale: Runner
) -> None:
    """A statement that began before a runner joined does not know it, but sees what it claimed."""
    postgres.query("UPDATE runners SET id = 'other'")  # another one lives, and the owner does not
    postgres.query(SLOW_VIEW)
    asked, may_go_on = threading.Event(), threading.Event()

    def accepts(found: ownership.Unowned) -> bool:
        asked.set()
        return may_go_on.wait(30)

    def claim() -> list[str]:
        with database.write() as connection:
            return ownership.claim(connection, "slow", accepts)

    with ThreadPoolExecutor(1) as pool, database.engine.connect() as locking:
        claiming = pool.submit(claim)
        assert asked.wait(30)
        # from here on whoever asks who lives stands still
        locking.execute(sa.text("SELECT pg_advisory_xact_lock(1)"))
        may_go_on.set()
        eventually(lambda: postgres.query(WAITS) == [(1,)])
        postgres.query(JOIN_AND_CLAIM)
        locking.commit()
        assert claiming.result(30) == []
    assert postgres.query("SELECT owner, epoch FROM workflow_executions") == [("new", 2)]
