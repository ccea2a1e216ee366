"""Change an execution that nobody owns: seize it, write, and let it go, in one transaction.

The row is locked first, and only then is it looked at whose it is: a claim comes wholly before
that, or finds the epoch raised.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloacina.errors import ExecutionNotFoundError
from cloacina.model.states import Answer, Wish
from cloacina.planner import direct
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves.reopen import reopened
from cloacina.store import commands, reader, unreadable
from cloacina.store.batch import Batch
from cloacina.store.ownership import has_ended, is_free
from cloacina.store.schema import schema_of
from cloacina.store.statements import Schemas, Step, steps
from cloacina.store.tables import EXECUTIONS, OFFERS

_LOG = logging.getLogger("cloacina")


@dataclass(frozen=True, slots=True)
class Locked:
    """Where an execution stands, while its row is locked."""

    has_ended: bool
    is_free: bool
    owner: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a wish that the caller's runner could not grant itself."""

    verdict: Verdict | None
    """``None`` if it is left to the runner that owns the execution."""
    ended: ExecutionState | None = None
    """Set if the execution has ended thereby."""


def lock(connection: sa.Connection, execution_id: str) -> Locked:
    """Keep an execution from being claimed or written while this transaction lasts.

    Raises:
        ExecutionNotFoundError: if there is none with that id.
    """
    row = sa.select(EXECUTIONS.c.id).where(EXECUTIONS.c.id == execution_id)
    if connection.execute(row.with_for_update()).first() is None:
        raise ExecutionNotFoundError(execution_id)
    # by a statement of its own, which sees what was committed while the lock was waited for
    stands = sa.select(has_ended(), is_free(), EXECUTIONS.c.owner)
    ended, free, owner = connection.execute(stands.where(EXECUTIONS.c.id == execution_id)).one()
    return Locked(has_ended=bool(ended), is_free=bool(free), owner=owner)


def change(
    connection: sa.Connection,
    execution_id: str,
    by: str,
    decide: Callable[[StoredExecution], ExecutionState],
) -> ExecutionState:
    """Have ``decide`` change a locked execution, and store that as the runner ``by``; return it.

    Nobody owns it afterwards.

    Raises:
        ValueError: if what is stored cannot be read.
    """
    seize(connection, execution_id, by)
    execution = decide(load(connection, execution_id))
    write(connection, Batch.of([execution], by, ()))
    let_go(connection, execution)
    return execution


def load(connection: sa.Connection, execution_id: str) -> StoredExecution:
    """Read an execution as a claim does; its offers cannot be claimed meanwhile."""
    mine = OFFERS.c.execution_id == execution_id
    connection.execute(sa.select(OFFERS.c.attempt).where(mine).with_for_update()).all()
    return reader.load_claimed(connection, execution_id)


def seize(connection: sa.Connection, execution_id: str, by: str) -> None:
    """Make a runner the owner of a locked execution, in an epoch of its own."""
    connection.execute(
        sa.update(EXECUTIONS)
        .where(EXECUTIONS.c.id == execution_id)
        .values(owner=by, epoch=EXECUTIONS.c.epoch + 1)
    )


def let_go(connection: sa.Connection, execution: ExecutionState) -> None:
    """Leave an execution to whoever claims it, if it has not ended."""
    connection.execute(
        sa.update(EXECUTIONS).where(EXECUTIONS.c.id == execution.id).values(owner=None)
    )


def settle(
    connection: sa.Connection, request: Requested, by: str, now: Now, *, is_new: bool
) -> Settled:
    """Grant or refuse a request (with a command id) whose execution the runner ``by`` does not own.

    If another runner owns it, a new request is left in that one's inbox, and an old one as it is.

    Raises:
        ExecutionNotFoundError: if there is no such execution.
        ValueError: if what is stored of it cannot be read, and not its cancellation is wanted:
            that ends it all the same.
    """
    found = lock(connection, request.execution_id)
    if found.has_ended:
        verdict = Verdict(Answer.ENDED)
        commands.close(connection, request.command_id or "", verdict, now.utc_us)
        return Settled(verdict)
    if not found.is_free:
        if is_new:
            commands.leave(connection, request, now.utc_us)
        return Settled(None)
    verdicts: list[Verdict] = []

    def decide(stored: StoredExecution) -> ExecutionState:
        granted = direct.grant(stored, request, now)
        verdicts.append(granted.verdict)
        return granted.execution

    try:
        execution = change(connection, request.execution_id, by, decide)
    except ValueError as error:
        if request.wish != Wish.CANCEL:
            raise
        _LOG.warning("it is cancelled nevertheless: %s", error)
        unreadable.cancel(connection, request.execution_id, now.utc_us)  # it is seized already
        commands.close(connection, request.command_id or "", Verdict(Answer.GRANTED), now.utc_us)
        return Settled(Verdict(Answer.GRANTED))
    return Settled(verdicts[0], execution if execution.status.is_final else None)


def retry(
    connection: sa.Connection, execution_id: str, by: str, at_us: int, *, from_failed: bool
) -> ExecutionState:
    """Make an execution that failed or was cancelled one that nobody owns yet and that runs again.

    Raises:
        ExecutionNotFoundError: if there is none with that id.
        ExecutionNotRetryableError: if it runs, or did complete.
        ValueError: if what is stored of it cannot be read.
    """
    lock(connection, execution_id)
    return change(
        connection,
        execution_id,
        by,
        lambda stored: reopened(stored, at_us, from_failed=from_failed),
    )


def write(connection: sa.Connection, batch: Batch) -> None:
    """Write a batch inside the caller's transaction."""
    for step in _steps(connection.dialect.name, schema_of(connection)):
        given = batch.rows[step.kind]
        if given:
            done = connection.exec_driver_sql(step.compiled.text, step.compiled.arranged(given))
            if step.must_hit and done.rowcount != len(given):
                raise AssertionError(f"{len(given)} {step.kind} of a locked execution missed")


@lru_cache(maxsize=64)
def _steps(dialect: str, schema: str | None) -> tuple[Step, ...]:
    schemas: Schemas | None = None if schema is None else {None: schema}
    if dialect == "sqlite":
        return steps(sqlite.dialect(), schemas)
    # positional marks, as the driver takes them
    return steps(postgresql.dialect(paramstyle="format"), schemas)  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
