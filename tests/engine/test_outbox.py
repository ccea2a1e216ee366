"""A submission in the caller's own transaction happens if, and only if, that is committed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import (
    EngineError,
    ExecutionNotFoundError,
    IdempotencyConflictError,
    RunnerClosedError,
    SubmissionRolledBackError,
    WrongConnectionError,
)
from cloacina_sdk.collect import collecting
from engine.databases import HASTY, Where

PATIENCE_S = 60.0


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        with WorkflowBuilder("ship"):

            @task
            def pack(context: Context) -> dict[str, object]:
                return {"packed": context["order"]}

            @task(dependencies=[pack])
            def send(context: Context) -> dict[str, object]:
                return {"sent": context["packed"]}

        yield own


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that goes while somebody holds the file does not try for long to say so."""
    monkeypatch.setattr("cloacina.store.sqlite.BUSY_TIMEOUT_MS", 100)


def an_engine(where: Where, **options: object) -> sa.Engine:
    """The engine of an application that keeps its own tables in the same database."""
    if where.is_postgres:
        return sa.create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(where.url), **options
        )
    return sa.create_engine(f"sqlite:///{where.url}", **options)


@pytest.fixture
def engine(where: Where) -> Iterator[sa.Engine]:
    made = an_engine(where)
    with made.begin() as connection:
        connection.execute(sa.text("CREATE TABLE orders (id INTEGER)"))
    yield made
    made.dispose()


def orders(where: Where) -> list[int]:
    return [row[0] for row in where.query("SELECT id FROM orders ORDER BY id")]


@contextmanager
def ordering(connection: sa.Connection | Session, order: int) -> Iterator[None]:
    connection.execute(sa.text("INSERT INTO orders VALUES (:id)"), {"id": order})
    yield


def test_what_is_committed_runs(runner: DefaultRunner, engine: sa.Engine, where: Where) -> None:
    with engine.begin() as connection, ordering(connection, 1):
        handle = runner.submit("ship", {"order": 1}, priority=3, connection=connection)
        assert where.query("SELECT count(*) FROM workflow_executions") == [(0,)]
    result = handle.wait(PATIENCE_S)
    assert result.final_context.to_dict() == {"order": 1, "packed": 1, "sent": 1}
    assert orders(where) == [1]
    assert result.start_time is not None
    stored = runner.execution(handle.id)
    assert (stored.status, stored.start_time) == ("Completed", result.start_time)
    assert where.query("SELECT epoch, priority FROM workflow_executions") == [(1, 3)]
    kinds = [row[0] for row in where.query("SELECT kind FROM execution_events ORDER BY seq")]
    assert kinds[:3] == ["execution_submitted", "execution_claimed", "execution_started"]


def test_nothing_happens_on_a_rollback(
    runner: DefaultRunner, engine: sa.Engine, where: Where
) -> None:
    with engine.connect() as connection, ordering(connection, 1):
        handle = runner.submit("ship", {"order": 1}, connection=connection)
        connection.rollback()
    with pytest.raises(SubmissionRolledBackError, match=handle.id):
        handle.wait(PATIENCE_S)
    with pytest.raises(ExecutionNotFoundError):
        runner.execution(handle.id)
    assert orders(where) == []
    for table in ("workflow_executions", "task_executions", "execution_events"):
        assert where.query(" ".join(("SELECT count(*) FROM", table))) == [(0,)]


def test_a_connection_that_is_closed_takes_its_submission_along(
    runner: DefaultRunner, engine: sa.Engine
) -> None:
    connection = engine.connect()
    handle = runner.submit("ship", {"order": 1}, connection=connection)
    connection.close()
    with pytest.raises(SubmissionRolledBackError):
        handle.wait(PATIENCE_S)


def test_a_connection_is_used_for_many_transactions(
    runner: DefaultRunner, engine: sa.Engine
) -> None:
    done = []
    with engine.connect() as connection:
        for order in range(4):
            one = runner.submit("ship", {"order": order}, connection=connection)
            other = runner.submit("ship", {"order": -order}, connection=connection)
            if order % 2:
                connection.rollback()
            else:
                connection.commit()
                done += [one, other]
    assert [handle.wait(PATIENCE_S).final_context["sent"] for handle in done] == [0, 0, 2, -2]
    assert len(runner.executions()) == 4


def test_a_savepoint_that_is_rolled_back_takes_only_its_own(
    runner: DefaultRunner, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        kept = runner.submit("ship", {"order": 1}, connection=connection)
        savepoint = connection.begin_nested()
        runner.submit("ship", {"order": 2}, connection=connection)
        savepoint.rollback()
    assert kept.wait(PATIENCE_S).status == "Completed"
    assert [each.execution_id for each in runner.executions()] == [kept.id]


def test_a_session_of_the_orm_serves(
    runner: DefaultRunner, engine: sa.Engine, where: Where
) -> None:
    with Session(engine) as session, session.begin(), ordering(session, 7):
        handle = runner.submit("ship", {"order": 7}, connection=session)
    assert handle.wait(PATIENCE_S).status == "Completed"
    registry = scoped_session(sessionmaker(engine))
    handle = runner.submit("ship", {"order": 8}, connection=registry)
    registry.rollback()
    registry.remove()
    with pytest.raises(SubmissionRolledBackError):
        handle.wait(PATIENCE_S)
    assert orders(where) == [7]


def test_a_key_counts_across_transactions(runner: DefaultRunner, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        first = runner.submit("ship", {"order": 1}, idempotency_key="k", connection=connection)
        again = runner.submit("ship", {"order": 1}, idempotency_key="k", connection=connection)
        assert again.id == first.id
    assert first.wait(PATIENCE_S).status == again.wait(PATIENCE_S).status == "Completed"
    with engine.connect() as connection:
        later = runner.submit("ship", {"order": 1}, idempotency_key="k", connection=connection)
        with pytest.raises(IdempotencyConflictError):
            runner.submit("ship", {"order": 2}, idempotency_key="k", connection=connection)
        connection.rollback()  # it was there before
    assert later.wait(PATIENCE_S).execution_id == first.id
    assert runner.execute("ship", {"order": 1}, idempotency_key="k").execution_id == first.id


def test_a_runner_that_is_gone_leaves_it_to_the_next(
    runtime: Runtime, where: Where, engine: sa.Engine
) -> None:
    with engine.connect() as connection:
        with DefaultRunner(where.url, runtime=runtime) as runner:
            handle = runner.submit("ship", {"order": 1}, connection=connection)
        with pytest.raises(RunnerClosedError):
            handle.wait(PATIENCE_S)
        connection.commit()
    with DefaultRunner(where.url, runtime=runtime) as other:
        assert other.handle(handle.id).wait(PATIENCE_S).status == "Completed"


def test_another_runner_on_postgresql_notices_too(runtime: Runtime, postgres: Where) -> None:
    engine = an_engine(postgres)
    with DefaultRunner(postgres.url, runtime=runtime, config=HASTY) as other:
        with engine.connect() as connection:
            with DefaultRunner(postgres.url, runtime=runtime) as runner:
                handle = runner.submit("ship", {"order": 1}, connection=connection)
            connection.commit()
        while other.executions() == []:
            threading.Event().wait(0.01)
        assert other.handle(handle.id).wait(PATIENCE_S).status == "Completed"
    engine.dispose()


def test_the_schema_of_the_runner_is_used_whatever_the_engine_says(
    runtime: Runtime, postgres: Where
) -> None:
    engine = an_engine(postgres, execution_options={"schema_translate_map": {None: "elsewhere"}})
    config = DefaultRunnerConfig()
    with DefaultRunner(postgres.url, runtime=runtime, schema="acme", config=config) as runner:
        with engine.begin() as connection:
            handle = runner.submit("ship", {"order": 1}, connection=connection)
            options = connection.get_execution_options()
            assert options["schema_translate_map"][None] == "elsewhere"
        assert handle.wait(PATIENCE_S).status == "Completed"
    assert postgres.query("SELECT count(*) FROM acme.workflow_executions") == [(1,)]
    engine.dispose()


def test_a_connection_to_another_database_is_refused(
    runner: DefaultRunner, where: Where, tmp_path: object, request: pytest.FixtureRequest
) -> None:
    other = sa.create_engine(f"sqlite:///{tmp_path}/other.db")
    memory = sa.create_engine("sqlite://")
    for engine in (other, memory):
        with engine.begin() as connection, pytest.raises(WrongConnectionError, match="must be the"):
            runner.submit("ship", {"order": 1}, connection=connection)
        engine.dispose()
    if where.is_postgres:
        elsewhere = an_engine(
            Where(url=request.getfixturevalue("postgres_server"), is_postgres=True)
        )
        with elsewhere.begin() as connection, pytest.raises(WrongConnectionError, match="test_"):
            runner.submit("ship", {"order": 1}, connection=connection)
        elsewhere.dispose()
    assert runner.executions() == []


def test_a_connection_that_commits_by_itself_is_refused(
    runner: DefaultRunner, where: Where
) -> None:
    engine = an_engine(where, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(WrongConnectionError, match="by itself"):
        runner.submit("ship", {"order": 1}, connection=connection)
    engine.dispose()
    assert runner.executions() == []


def test_what_is_no_connection_is_refused(runner: DefaultRunner, engine: sa.Engine) -> None:
    for wrong in (engine, "sqlite://", object()):
        with pytest.raises(WrongConnectionError, match="takes a SQLAlchemy Connection"):
            runner.submit("ship", {"order": 1}, connection=wrong)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(WrongConnectionError, match="not bound"), Session() as session:
        runner.submit("ship", {"order": 1}, connection=session)


class AsyncConnection:
    """As SQLAlchemy's, as far as it can be told apart."""

    def run_sync(self) -> None:
        raise AssertionError("nobody calls this")


def test_an_asynchronous_connection_is_told_how_it_is_done(runner: DefaultRunner) -> None:
    with pytest.raises(WrongConnectionError, match="run_sync"):
        runner.submit("ship", {"order": 1}, connection=AsyncConnection())  # type: ignore[arg-type]  # on purpose


def test_a_transaction_that_stays_open_holds_up_nobody_on_postgresql(
    runtime: Runtime, postgres: Where
) -> None:
    engine = an_engine(postgres)
    with DefaultRunner(postgres.url, runtime=runtime) as runner, engine.connect() as connection:
        handle = runner.submit("ship", {"order": 1}, connection=connection)  # its graph is new
        assert runner.execute("ship", {"order": 2}, timeout=PATIENCE_S).status == "Completed"
        connection.commit()
        assert handle.wait(PATIENCE_S).status == "Completed"
    engine.dispose()


def test_a_busy_sqlite_file_is_an_error_that_says_what_to_do(
    runtime: Runtime, tmp_path: object
) -> None:
    where = Where(url=f"{tmp_path}/c.db", is_postgres=False)
    engine = an_engine(where, connect_args={"timeout": 0})
    with DefaultRunner(where.url, runtime=runtime) as runner:
        with engine.connect() as holder, engine.connect() as connection:
            holder.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(EngineError, match="BEGIN IMMEDIATE"):
                runner.submit("ship", {"order": 1}, connection=connection)
            holder.rollback()
        assert runner.execute("ship", {"order": 1}).status == "Completed"
    engine.dispose()


def test_an_execution_can_be_looked_at_before_anybody_plans_it(
    runtime: Runtime, where: Where, engine: sa.Engine
) -> None:
    with (
        engine.connect() as connection,
        DefaultRunner(where.url, runtime=runtime) as runner,
        DefaultRunner(where.url, runtime=Runtime()) as onlooker,
    ):
        handle = runner.submit("ship", {"order": 1}, connection=connection)
        runner.shutdown()
        connection.commit()
        seen = onlooker.execution(handle.id)
        assert (seen.status, seen.start_time) == ("Pending", None)
        assert [each.status for each in seen.tasks.values()] == ["NotStarted"] * 2
        assert seen.final_context.to_dict() == {"order": 1}
