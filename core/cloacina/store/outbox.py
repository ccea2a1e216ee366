"""Write a submission in a transaction of the caller's: it happens if, and only if, that commits.

Rules it upholds:

* the connection is proved to be in a transaction on the same database before an execution is
  written, whatever its driver, its engine's settings or the road that it came by;
* rows are written unowned, in epoch 0: after the commit, whoever finds them may claim them;
* nothing of the caller's is changed: neither the options of its connection nor its transaction,
  which stays the caller's to commit or roll back.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

from cloacina.errors import EngineError, StoreUnavailableError, WrongConnectionError
from cloacina.planner.events import Identity, Submitted
from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState
from cloacina.store.contract import Database
from cloacina.store.idempotency import Earlier, find_earlier
from cloacina.store.rows.execution import GraphRow, new_execution
from cloacina.store.rows.history import new_events
from cloacina.store.rows.task import new_tasks
from cloacina.store.schema import schema_of
from cloacina.store.tables import EVENTS, EXECUTIONS, GRAPHS, TASKS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session

CallersConnection: TypeAlias = "sa.Connection | Session | scoped_session[Any]"
"""What a caller may bring a transaction on."""

_WHO_AM_I: Final = sa.text(
    "SELECT pg_postmaster_start_time(), d.oid, d.datname FROM pg_database d "
    "WHERE d.datname = current_database()"
)


class _Place(NamedTuple):
    """What a connection is connected to."""

    key: tuple[object, ...]
    shown: str


def connection_of(given: object) -> sa.Connection:
    """Return the connection that a caller means.

    Args:
        given: a ``Connection``, or an ORM ``Session`` (or ``scoped_session``) bound to one database.

    Raises:
        WrongConnectionError: for anything else; one that is asynchronous is told how it is done.
    """
    if isinstance(given, sa.Connection):
        return given
    orm: Any = sys.modules.get("sqlalchemy.orm")  # there is no session of what is not imported
    if orm is not None and isinstance(given, orm.Session | orm.scoped_session):
        try:
            return cast("sa.Connection", cast("Any", given).connection())
        except exc.UnboundExecutionError as error:
            raise WrongConnectionError(
                "the session is not bound to one engine; pass session.connection(...) for the one "
                "that is meant"
            ) from error
    if hasattr(given, "run_sync"):
        raise WrongConnectionError(
            f"a {type(given).__name__} cannot be used directly; write 'await connection.run_sync("
            "lambda sync: runner.submit(..., connection=sync))'"
        )
    raise WrongConnectionError(
        f"connection= takes a SQLAlchemy Connection or Session, not a {type(given).__name__}"
    )


def place(
    database: Database, connection: sa.Connection, event: Submitted, at_us: int
) -> Earlier | None:
    """Write an execution in the transaction of ``connection``.

    Returns:
        the execution that has its idempotency key already, which may be one of the very
        transaction; nothing is written then.

    Raises:
        WrongConnectionError: if the connection is to another database, or in no transaction.
        StoreUnavailableError: if the database is busy; the caller's transaction may have to be
            repeated.
        EngineError: if the database refuses the rows, which ends a transaction on PostgreSQL.
    """
    with database.read() as own:
        schema = schema_of(own)
        here = _place_of(own)
        has_graph = sa.exists().where(GRAPHS.c.digest == event.topology.digest)
        is_graph_missing = not own.execute(sa.select(has_graph)).scalar_one()
    if is_graph_missing and connection.dialect.name == "postgresql":
        # else whoever needs the same graph would wait for the caller's transaction
        with database.write() as own:
            own.execute(postgresql.insert(GRAPHS).on_conflict_do_nothing(), _graph_of(event))
    with _wrapped():
        _check_place(connection, here)
        return _Placing(connection, schema).place(event, at_us)


class _Placing:
    """Statements on the caller's connection, with the schema that the runner uses."""

    def __init__(self, connection: sa.Connection, schema: str | None) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        # whatever the caller's engine says of schemas: the tables are where the runner has them
        self._options = {"schema_translate_map": {None: "main" if self._is_sqlite else schema}}

    def place(self, event: Submitted, at_us: int) -> Earlier | None:
        execution = _new_state(event, at_us)
        graph = GraphRow(**_graph_of(event))
        self._insert(GRAPHS, [graph], is_missing_only=True)
        self._check_transaction()
        has_key = event.identity.idempotency_key is not None
        if has_key and (earlier := self._earlier(event.identity)) is not None:
            return earlier
        row = new_execution(execution, None, event.topology.digest)
        if not self._insert(EXECUTIONS, [row], is_missing_only=has_key):
            return self._earlier(event.identity)  # somebody was quicker
        self._insert(TASKS, new_tasks(execution))
        self._insert(EVENTS, new_events(execution))
        return None

    def _earlier(self, identity: Identity) -> Earlier | None:
        return find_earlier(self._connection, identity, self._options)

    def _insert(
        self, table: sa.Table, given: Sequence[Any], *, is_missing_only: bool = False
    ) -> bool:
        """Insert rows; with ``is_missing_only`` those that violate nothing. Return if any was."""
        insert = sqlite.insert if self._is_sqlite else postgresql.insert
        statement: sa.Insert = sa.insert(table)
        if is_missing_only:
            statement = insert(table).on_conflict_do_nothing()
        values = [
            {name.removeprefix("to_"): value for name, value in row._asdict().items()}
            for row in given
        ]
        done = self._connection.execute(
            statement, values if len(values) > 1 else values[0], execution_options=self._options
        )
        return done.rowcount != 0

    def _check_transaction(self) -> None:
        """Make sure that what was just written is not committed already."""
        if self._is_sqlite and not self._driver_connection().in_transaction:
            raise WrongConnectionError(
                "the connection commits each statement by itself; begin a transaction on it"
            )

    def _driver_connection(self) -> Any:
        return self._connection.connection.driver_connection


def _check_place(connection: sa.Connection, here: _Place) -> None:
    if connection.dialect.name not in {"sqlite", "postgresql"}:
        raise WrongConnectionError(
            f"the connection is to {connection.dialect.name}, and the runner's database is {here.shown}"
        )
    there = _place_of(connection)
    if there.key != here.key:
        raise WrongConnectionError(
            f"the connection is to {there.shown}, and the runner's database is {here.shown}; they "
            "must be the same for one transaction to hold both"
        )
    if connection.dialect.name == "postgresql":
        numbers = {connection.execute(sa.select(sa.func.txid_current())).scalar_one() for _ in "ab"}
        if len(numbers) > 1:
            raise WrongConnectionError(
                "the connection commits each statement by itself (AUTOCOMMIT); use one that "
                "begins a transaction"
            )


def _place_of(connection: sa.Connection) -> _Place:
    if connection.dialect.name == "sqlite":
        found = connection.execute(sa.text("PRAGMA database_list")).all()
        file = next((str(row[2]) for row in found if row[1] == "main"), "")
        if not file:
            return _Place(("sqlite", None), "a private SQLite database")
        status = Path(file).stat()  # by inode: a file has many names
        return _Place(("sqlite", status.st_dev, status.st_ino), f"the SQLite file {file}")
    started_at, number, name = connection.execute(_WHO_AM_I).one()
    # a server is known by the microsecond in which it started, whatever the road to it
    return _Place(("postgresql", started_at, number), f"the PostgreSQL database {name!r}")


def _graph_of(event: Submitted) -> dict[str, str]:
    return {"digest": event.topology.digest, "document": event.topology.document}


def _new_state(event: Submitted, at_us: int) -> ExecutionState:
    """Return an execution that nobody has begun to plan."""
    execution = ExecutionState(
        identity=event.identity,
        topology=event.topology,
        input_texts=event.input_texts,
        epoch=0,
        created_at_us=at_us,
        tasks=[TaskState(number=number) for number in range(len(event.topology))],
    )
    for task in execution.tasks:
        execution.touch(task)
    execution.record("execution_submitted", at_us)
    return execution


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except exc.OperationalError as error:
        raise StoreUnavailableError(
            f"the execution could not be written in the caller's transaction: {error.orig}; repeat "
            "the transaction (on SQLite, begin it with BEGIN IMMEDIATE)"
        ) from error
    except exc.DBAPIError as error:
        raise EngineError(
            f"the execution could not be written in the caller's transaction: {error.orig}"
        ) from error
