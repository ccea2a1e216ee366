"""What ended long ago is removed with all that belongs to it, and nothing else is."""

import logging
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import InvalidConfigError
from cloacina.kernel.clock import Clock
from cloacina.planner.events import Now
from cloacina.runner.pruner import Pruner
from cloacina.store import retention
from cloacina.store.tables import EXECUTIONS, METADATA
from cloacina_sdk.collect import collecting
from cloacina_sdk.errors import InvalidDurationError
from engine.databases import Where
from engine.gate import Gate

PATIENCE_S = 60.0
LONG_AGO = "2020-01-01T00:00:00.000000Z"


class Heard(logging.Handler):
    """Hears that something was removed."""

    def __init__(self) -> None:
        super().__init__()
        self.removal = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("removed 1 "):
            self.removal.set()


@pytest.fixture
def runtime(gate: Gate) -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        for name in ("w", "v"):
            with WorkflowBuilder(name):

                @task
                def a(context: Context) -> None:
                    context["a"] = 1

                @task(dependencies=[a])
                def b(context: Context) -> None:
                    context["b"] = 2

        with WorkflowBuilder("waits"):

            @task
            def hold(_context: Context) -> None:
                gate.pass_through()

        yield own


def change(where: Where, *words: str) -> None:
    where.query(" ".join(words))


def make_old(where: Where, *execution_ids: str) -> None:
    for execution_id in execution_ids:
        change(
            *(where, "UPDATE workflow_executions"),
            f"SET created_at = '{LONG_AGO}', started_at = '{LONG_AGO}',",
            f"finished_at = CASE WHEN finished_at IS NOT NULL THEN '{LONG_AGO}' END",
            f"WHERE id = '{execution_id}'",
        )


def counts(where: Where) -> dict[str, int]:
    return {
        table: where.query(" ".join(("SELECT count(*) FROM", table)))[0][0]
        for table in METADATA.tables
        if table != "runners"
    }


def test_what_ended_long_ago_goes_with_everything_that_belongs_to_it(
    runner: DefaultRunner, where: Where, gate: Gate
) -> None:
    kept = runner.execute("w").execution_id
    before = counts(where)
    old = [runner.execute(name).execution_id for name in ("w", "v", "v")]
    asked = runner.submit("waits")
    asked.send_event("a", 1)
    gate.await_body()
    asked.cancel()
    gate.open()
    asked.wait(PATIENCE_S)
    change(
        *(where, "INSERT INTO commands (id, execution_id, wish, created_at, answered_at, answer)"),
        f"VALUES ('c1', '{old[0]}', 'Cancel', '{LONG_AGO}', '{LONG_AGO}', 'done')",
    )
    make_old(where, *old, asked.id)
    assert runner.prune(older_than="1d") == 4
    assert counts(where) == before
    assert [each.execution_id for each in runner.executions()] == [kept]
    assert runner.prune(older_than="1d") == 0


def test_what_has_not_ended_stays_however_old_it_is(
    runner: DefaultRunner, where: Where, gate: Gate
) -> None:
    running = runner.submit("waits")
    gate.await_body()
    make_old(where, running.id)
    assert runner.prune(older_than=0) == 0
    gate.open()
    assert running.wait(PATIENCE_S).status == "Completed"
    assert runner.execution(running.id).status == "Completed"


def test_what_ended_lately_stays_though_it_began_long_ago(
    runner: DefaultRunner, where: Where
) -> None:
    done = runner.execute("w").execution_id
    change(where, "UPDATE workflow_executions", f"SET created_at = '{LONG_AGO}'")
    assert runner.prune(older_than="1h") == 0
    assert runner.execution(done).status == "Completed"


def test_more_than_fits_a_transaction_is_removed_in_several(
    runner: DefaultRunner, where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [runner.submit("w") for _ in range(30)]
    for handle in handles:
        handle.wait(PATIENCE_S)
    make_old(where, *(handle.id for handle in handles))
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 3)  # less than one execution has
    asked = 0

    def goes_on() -> bool:
        nonlocal asked
        asked += 1
        return asked != 40  # in the middle of an execution

    database = runner._require_engine().database
    removed = retention.prune(
        database, runner._require_engine().clock.now().utc_us, goes_on=goes_on
    )
    assert 0 < removed < 30
    for summary in runner.executions():  # whatever can be found can be read
        assert runner.execution(summary.execution_id).tasks.keys() == {"a", "b"}
    assert runner.prune(older_than=0) == 30 - removed
    assert set(counts(where).values()) == {0}


def test_a_graph_that_was_removed_is_stored_again_by_a_runner_that_knew_it(
    runtime: Runtime, where: Where
) -> None:
    with DefaultRunner(where.url, runtime=runtime) as one, DefaultRunner(where.url) as other:
        make_old(where, one.execute("w").execution_id)
        assert other.prune(older_than="1d") == 1
        assert where.query("SELECT count(*) FROM graphs") == [(0,)]
        assert one.execute("w").status == "Completed"
    assert where.query("SELECT count(*) FROM graphs") == [(1,)]


def test_every_table_that_names_executions_is_found_and_can_be_searched_by_them() -> None:
    searched = {table for table, _ in retention.belonging()}
    for table in METADATA.sorted_tables:
        names = retention.naming_column(table)
        leads_there = any(
            key.column.table.name == "workflow_executions" for key in table.foreign_keys
        )
        assert names is not None or not leads_there
        if names is None:
            continue
        assert table in searched or table.name == "task_executions"
        firsts = [next(iter(table.primary_key.columns))]
        firsts += [
            next(iter(index.columns))
            for index in table.indexes
            if index.dialect_options["sqlite"]["where"] is None
        ]
        assert names in firsts, f"{table.name} has no index to find the rows of an execution"
    assert retention.naming_column(EXECUTIONS) is None


def test_a_runner_with_a_retention_removes_what_is_older_by_itself(
    runtime: Runtime, where: Where
) -> None:
    with DefaultRunner(where.url, runtime=runtime) as runner:
        old, kept = (runner.execute("w").execution_id for _ in range(2))
        make_old(where, old)
    log = logging.getLogger("cloacina")
    heard = Heard()
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    config = DefaultRunnerConfig(retention_seconds=3600)
    try:
        with DefaultRunner(where.url, runtime=runtime, config=config):
            assert heard.removal.wait(PATIENCE_S)
    finally:
        log.removeHandler(heard)
        log.setLevel(logging.NOTSET)
    assert where.query("SELECT id FROM workflow_executions") == [(kept,)]


def test_a_runner_without_a_retention_has_no_thread_for_it(runner: DefaultRunner) -> None:
    assert runner._require_engine()._pruner is None
    assert "cloacina-pruner" not in {each.name for each in threading.enumerate()}


class Jumping(Clock):
    """A wall clock that is set ten years forward after its first reading."""

    def __init__(self) -> None:
        self.readings = 0
        self.has_jumped = threading.Event()

    def now(self) -> Now:
        self.readings += 1
        if self.readings > 1:
            self.has_jumped.set()
        now = super().now()
        jump_us = 0 if self.readings == 1 else 10 * 366 * 86_400 * 1_000_000
        return Now(now.utc_us + jump_us, now.monotonic_us)


def test_a_clock_that_is_set_forward_makes_nothing_old(runner: DefaultRunner, where: Where) -> None:
    done = runner.execute("w").execution_id
    clock = Jumping()
    pruner = Pruner(runner._require_engine().database, 3600, clock)
    assert clock.has_jumped.wait(PATIENCE_S)
    pruner.close()
    assert where.query("SELECT id FROM workflow_executions") == [(done,)]


def test_two_that_prune_at_once_remove_everything_once(runner: DefaultRunner, where: Where) -> None:
    handles = [runner.submit("w") for _ in range(60)]
    make_old(where, *(handle.wait(PATIENCE_S).execution_id for handle in handles))
    removed: list[int] = []
    threads = [
        threading.Thread(target=lambda: removed.append(runner.prune(older_than="1d")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    removed.append(runner.prune(older_than="1d"))
    assert sum(removed) == 60
    assert set(counts(where).values()) == {0}


def test_nonsense_is_refused(runner: DefaultRunner) -> None:
    with pytest.raises(InvalidDurationError):
        runner.prune(older_than="soon")
    with pytest.raises(InvalidConfigError, match="retention_seconds"):
        DefaultRunnerConfig(retention_seconds=0)


def test_the_order_of_removal_respects_foreign_keys() -> None:
    order = [table for table, _ in retention.belonging()]
    for table in order:
        for key in table.foreign_keys:
            target = key.column.table
            assert target not in order or order.index(target) > order.index(table)
    assert isinstance(order[0], sa.Table)
