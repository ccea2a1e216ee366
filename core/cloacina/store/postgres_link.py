"""Write batches to PostgreSQL: a transaction is two journeys to the server, whatever it holds.

Rules it upholds:

* a batch first writes its token into the runner's own row. Whoever evicts the runner removes that
  row in one transaction with taking its executions, so the two wait for each other, and an evicted
  runner writes nothing at all;
* the token settles a commit whose answer was lost: it is read again under the row's lock, that is
  after the server has made up its mind;
* a transaction that its runner left open (a stopped process) is ended by the server, for its locks
  would keep the others from taking over.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy.dialects import postgresql

from cloacina.errors import EvictedError, StoreUnavailableError
from cloacina.store.batch import Batch
from cloacina.store.limits import KEY_SLOTS, RATE_SLOTS
from cloacina.store.postgres_faults import is_passing
from cloacina.store.rows.offer import OfferWithdrawal
from cloacina.store.statements import CLAIM_OF_OFFER, Compiled, Schemas, seen_claim, steps
from cloacina.store.tables import EXECUTIONS, RUNNERS, UNIQUE_KEY
from cloacina.store.writer import (
    ClaimedError,
    DuplicateError,
    MissedError,
    RefusedError,
    SlotTakenError,
)

DIALECT: Final = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
_SIGN: Final = (
    sa.update(RUNNERS)
    .values(last_batch=sa.bindparam("token"))
    .where(RUNNERS.c.id == sa.bindparam("owner", type_=sa.Text))
)
_LAST: Final = (
    sa.select(RUNNERS.c.last_batch)
    .where(RUNNERS.c.id == sa.bindparam("owner", type_=sa.Text))
    .with_for_update(key_share=True)
)
_FENCES: Final = (
    sa.select(EXECUTIONS.c.id, EXECUTIONS.c.epoch)
    .where(
        EXECUTIONS.c.id == sa.any_(sa.bindparam("ids", type_=postgresql.ARRAY(sa.Text))),
        EXECUTIONS.c.owner == sa.bindparam("owner", type_=sa.Text),
    )
    .with_for_update(key_share=True)
)


class PostgresLink:
    """The writing connection of one runner, made anew when it breaks."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        *,
        owner: str,
        schemas: Schemas,
        patience_s: float,
    ) -> None:
        """Write as ``owner``; a transaction left open for ``patience_s`` is ended by the server."""
        self._connect = connect
        self._owner = owner
        self._sign = Compiled.of(_SIGN, DIALECT, ("token", "owner"), schemas).query
        self._last = Compiled.of(_LAST, DIALECT, ("owner",), schemas).query
        self._fences = Compiled.of(_FENCES, DIALECT, ("ids", "owner"), schemas).query
        self._steps = steps(DIALECT, schemas)
        self._claim = Compiled.of(CLAIM_OF_OFFER, DIALECT, OfferWithdrawal._fields, schemas)
        self._limit = (
            f"SET LOCAL idle_in_transaction_session_timeout = {int(patience_s * 1000)}".encode()
        )
        self._connection: psycopg.Connection | None = None
        self._is_in_doubt = False
        """Whether the answer to the last commit was lost."""

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def write(self, batch: Batch) -> None:
        """Write all of ``batch``, or nothing of it (see ``Link``).

        Raises:
            EvictedError: the other runners hold this one for dead; nothing was written.
        """
        try:
            connection = self._connected()
            if self._is_in_doubt and self._was_written(connection, batch):
                self._is_in_doubt = False
                return
            self._is_in_doubt = False
            self._send(connection, batch)
        except psycopg.errors.UniqueViolation as error:
            self._roll_back()
            if error.diag.constraint_name == "pk_workflow_executions":
                # ids are ours alone: it was committed before we were evicted, and is others' now
                raise MissedError from error
            if error.diag.constraint_name == UNIQUE_KEY:
                raise DuplicateError(error) from error
            if error.diag.constraint_name in {KEY_SLOTS, RATE_SLOTS}:
                raise SlotTakenError(error) from error
            raise RefusedError(error) from error
        except (psycopg.Error, UnicodeError) as error:
            is_broken = self._roll_back()
            if is_broken or is_passing(error):
                raise StoreUnavailableError(
                    f"the database could not be written: {error}"
                ) from error
            raise RefusedError(error) from error
        except BaseException:
            self._roll_back()
            raise

    def _send(self, connection: psycopg.Connection, batch: Batch) -> None:
        failure: Exception | None = None
        try:
            with connection.pipeline() as pipeline:
                try:
                    self._converse(connection, pipeline, batch)
                except (psycopg.Error, UnicodeError, MissedError, ClaimedError, EvictedError) as e:
                    failure = e  # or the driver would log what it meets on leaving the pipeline
        except psycopg.Error as error:
            raise (failure or error) from None
        if failure is not None:
            raise failure
        self._is_in_doubt = False  # leaving the pipeline waited for the answer

    def _converse(
        self, connection: psycopg.Connection, pipeline: psycopg.Pipeline, batch: Batch
    ) -> None:
        connection.execute("BEGIN")
        connection.execute(self._limit)
        signed = connection.execute(self._sign, (batch.token, batch.owner))
        fenced = connection.execute(self._fences, (list(batch.fences), batch.owner))
        counted = []
        try:  # answers come at any of these calls
            for step in self._steps:
                given = batch.rows[step.kind]
                if given:
                    cursor = connection.cursor()
                    cursor.executemany(step.compiled.query, step.compiled.arranged(given))
                    if step.must_hit:
                        counted.append((cursor, len(given)))
            withdrawn = self._claim.arranged(batch.rows["offer_withdrawals"])
            claims = [connection.execute(self._claim.query, row) for row in withdrawn]
            pipeline.sync()
        except psycopg.Error:
            self._check_ownership(batch, signed, fenced)  # the cause, if it was lost
            raise
        self._check_ownership(batch, signed, fenced)
        claimed = [seen_claim(row) for claim in claims for row in claim.fetchall()]
        if claimed:
            raise ClaimedError(claimed)
        if any(cursor.rowcount != expected for cursor, expected in counted):
            raise MissedError
        self._is_in_doubt = True
        connection.execute("COMMIT")

    def _check_ownership(
        self, batch: Batch, signed: psycopg.Cursor[Any], fenced: psycopg.Cursor[Any]
    ) -> None:
        """Look at the answers that came: all of them, or those before the one that failed."""
        if signed.rowcount == 0:
            raise EvictedError(self._owner)
        if fenced.rowcount >= 0 and dict(fenced.fetchall()) != batch.fences:
            raise MissedError

    def _was_written(self, connection: psycopg.Connection, batch: Batch) -> bool:
        row: tuple[Any, ...] | None = connection.execute(self._last, (batch.owner,)).fetchone()
        if row is None:
            self._is_in_doubt = False
            raise EvictedError(self._owner)
        return bool(row[0] == batch.token)

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            self._connection.autocommit = True  # transactions are begun by us alone
        return self._connection

    def _roll_back(self) -> bool:
        """Leave no transaction open; return whether the connection is of no use any more."""
        connection = self._connection
        if connection is None:
            return True
        with suppress(psycopg.Error):
            connection.rollback()
        is_idle = connection.info.transaction_status is TransactionStatus.IDLE
        if is_idle and connection.info.pipeline_status is PipelineStatus.OFF:
            return False
        self.close()  # broken, or between two states that only a new one leads out of
        return True
