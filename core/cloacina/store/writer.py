"""Group commit: everything that happened since the last commit goes into one transaction.

Rules it upholds:

* all changes of one execution are committed together or not at all;
* an execution that is no longer this owner's changes nothing, and spoils nobody else's commit;
* what the database refuses (a constraint, a value too large) is traced to one execution;
* an offer that somebody claimed before it could be withdrawn holds up its batch, not others;
* a graph that is known to be stored is not written again, unless it was removed meanwhile;
* what was committed before the database became unavailable is not written again afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cloacina.errors import (
    DuplicateExecutionError,
    EvictedError,
    RejectedWriteError,
    StoreUnavailableError,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.offered import SeenOffer
from cloacina.store.batch import Batch
from cloacina.store.contract import Written


class MissedError(Exception):
    """A row that a change expected was not there: somebody else moved first."""


class ClaimedError(Exception):
    """Offers were to be withdrawn that other runners have claimed."""

    def __init__(self, claimed: Sequence[SeenOffer]) -> None:
        self.claimed = claimed
        super().__init__(f"{len(claimed)} offers are claimed")


class RefusedError(Exception):
    """The database will not take these rows, however often they are offered."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(str(cause))


class DuplicateError(RefusedError):
    """Another execution has the idempotency key of one of these."""


class SlotTakenError(RefusedError):
    """Another attempt has a slot of a key or rate that one of these should have."""


class Link(Protocol):
    """A connection that writes batches, one transaction for each."""

    def write(self, batch: Batch) -> None:
        """Write all of ``batch``, or nothing of it.

        Raises:
            MissedError: something was not as a change expects it.
            ClaimedError: nothing was written, because of offers that are claimed.
            RefusedError: the database refused a row.
            DuplicateError: likewise, because an idempotency key is taken.
            SlotTakenError: likewise, because a slot of a key or rate is.
            EvictedError: the runner owns nothing any more; nothing was written.
            StoreUnavailableError: the same batch may be offered again; if it was written after
                all, that call says so by returning.
        """

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Executions that go into one transaction, and what they write."""

    executions: Sequence[ExecutionState]
    batch: Batch


class GroupWriter:
    """The writer of any database: makes batches, and finds out whom a failed one is due to."""

    def __init__(self, link: Link, owner: str) -> None:
        """Write through ``link`` as ``owner``."""
        self._link = link
        self._owner = owner
        self._known_graphs: set[str] = set()
        self._todo: list[_Piece] = []

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def abandon(self) -> None:
        """Forget what was postponed (see ``Writer``)."""
        self._todo.clear()

    def commit(self, executions: Sequence[ExecutionState]) -> Written:
        """Write everything unsaved of ``executions`` (see ``Writer``)."""
        if not executions:
            return Written()
        if not self._todo:  # else the database was unavailable, and this is the next try
            self._add(executions)
        written = Written()
        while self._todo:
            piece = self._todo[-1]
            try:
                self._link.write(piece.batch)
            except StoreUnavailableError as error:
                # the same batches are offered again: the last may turn out to be written already
                for left in reversed(self._todo):
                    written.postpone(left.executions, error)
                break
            except (MissedError, RefusedError) as error:
                self._todo.pop()
                if isinstance(error, RefusedError) and self._forgot_graphs(piece):
                    self._add(piece.executions)  # one may have been removed, as nothing named it
                    continue
                self._divide(piece.executions, error, written)
            except ClaimedError as error:
                self._todo.pop()
                written.contested.extend(piece.executions)
                written.claimed.extend(error.claimed)
            except EvictedError:
                self._todo.clear()
                raise
            else:
                self._todo.pop()
                self._known_graphs.update(str(digest) for digest, _ in piece.batch.rows["graphs"])
                written.saved.extend(piece.executions)
        return written

    def _add(self, executions: Sequence[ExecutionState]) -> None:
        self._todo.append(_Piece(executions, Batch.of(executions, self._owner, self._known_graphs)))

    def _forgot_graphs(self, piece: _Piece) -> bool:
        """Whether graphs were left out of a piece because they were known to be stored."""
        needed = {each.topology.digest for each in piece.executions if each.stored_status is None}
        if needed.isdisjoint(self._known_graphs):
            return False
        self._known_graphs.clear()
        return True

    def _divide(
        self,
        executions: Sequence[ExecutionState],
        error: MissedError | RefusedError,
        written: Written,
    ) -> None:
        if len(executions) > 1:
            middle = len(executions) // 2
            self._add(executions[middle:])
            self._add(executions[:middle])
        elif isinstance(error, MissedError):
            written.lost.extend(executions)
        elif isinstance(error, SlotTakenError):
            written.contended.extend(executions)
        elif isinstance(error, DuplicateError):
            (culprit,) = executions
            written.rejected.append((culprit, DuplicateExecutionError(culprit.id, error.cause)))
        else:
            (culprit,) = executions
            written.rejected.append((culprit, RejectedWriteError(culprit.id, error.cause)))
