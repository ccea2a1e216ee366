"""Write batches to SQLite."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.dialects import sqlite

from cloacina.errors import StoreUnavailableError
from cloacina.store.batch import Batch
from cloacina.store.rows.offer import OfferWithdrawal
from cloacina.store.statements import CLAIM_OF_OFFER, FENCE, Compiled, Row, seen_claim, steps
from cloacina.store.tables import ATTEMPTS, EXECUTIONS
from cloacina.store.writer import (
    ClaimedError,
    DuplicateError,
    MissedError,
    RefusedError,
    SlotTakenError,
)

_DIALECT = sqlite.dialect()
_FENCE = Compiled.of(FENCE, _DIALECT, ("id", "owner", "epoch"))
_CLAIM = Compiled.of(CLAIM_OF_OFFER, _DIALECT, OfferWithdrawal._fields)
_STEPS = steps(_DIALECT)
_KEY = f"{EXECUTIONS.name}.{EXECUTIONS.c.idempotency_key.name}"
_SLOTS = tuple(f"{ATTEMPTS.name}.{column}" for column in ("concurrency_key", "rate_key"))
"""SQLite names the columns of the index that was violated."""


class SqliteLink:
    """One connection that writes in its turn."""

    def __init__(
        self, connection: sqlite3.Connection, turn: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Write on ``connection``, which is closed with the link, while holding ``turn()``."""
        self._connection = connection
        self._turn = turn

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def write(self, batch: Batch) -> None:
        """Write all of ``batch``, or nothing of it (see ``Link``)."""
        try:
            with self._transaction() as connection:
                _write(connection, batch)
        except sqlite3.OperationalError as error:  # the disk is full, the file busy, and so on
            raise StoreUnavailableError(f"the database could not be written: {error}") from error
        except (sqlite3.DatabaseError, OverflowError) as error:
            raise _refusal(error)(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._turn():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    for execution_id, epoch in batch.fences.items():
        fence = (execution_id, batch.owner, epoch)
        if connection.execute(_FENCE.text, fence).fetchone() is None:
            raise MissedError
    for step in _STEPS:
        given = batch.rows[step.kind]
        if given:
            done = connection.executemany(step.compiled.text, step.compiled.arranged(given))
            if step.must_hit and done.rowcount != len(given):
                if step.kind == "offer_withdrawals":
                    _tell_of_claims(connection, _CLAIM.arranged(given))
                raise MissedError


def _refusal(error: Exception) -> type[RefusedError]:
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError) and text.startswith("UNIQUE"):
        if _KEY in text:
            return DuplicateError
        if any(slot in text for slot in _SLOTS):
            return SlotTakenError
    return RefusedError


def _tell_of_claims(connection: sqlite3.Connection, withdrawals: list[Row]) -> None:
    found = [connection.execute(_CLAIM.text, row).fetchone() for row in withdrawals]
    claimed = [seen_claim(row) for row in found if row is not None]
    if claimed:
        raise ClaimedError(claimed)
