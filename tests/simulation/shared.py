"""What simulated runners share: a database, and the links through which faults reach it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from cloacina.errors import StoreUnavailableError
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.events import Requested
from cloacina.store.batch import Batch
from cloacina.store.rows.execution import NewExecution
from cloacina.store.writer import ClaimedError, Link, MissedError
from simulation.scenario import Liveness
from simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from simulation.gate import Gate
    from simulation.runner import SimulatedRunner


class LosingLink(Link, Protocol):
    """A link whose answers can be lost."""

    def lose_answer(self) -> None:
        """Not know any more whether the last batch was written."""


class Shared(Protocol):
    """The database, as runners and the monitor see it."""

    def link(self, runner_id: str, /) -> LosingLink:
        """Return a runner's connection that writes batches."""
        ...

    def neighbours(self, runner: "SimulatedRunner", /) -> Neighbours:
        """Return a runner's view of the others, through its gate."""
        ...

    def runner_ids(self) -> set[str]:
        """Return the registered runners."""
        ...

    def silence(self, runner_id: str, *, is_dead: bool) -> None:
        """Have the others take a runner for dead, which may be a mistake."""

    def renew(self, runner_id: str, /) -> bool:
        """Prolong a lease; ``False`` if the others took it away."""
        ...

    def leave_command(self, command: Requested, /) -> None:
        """Put a command in the inbox."""

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the committed rows of every execution; unchanged ones may be the same objects."""
        ...

    def close(self) -> None:
        """Let go of files."""


OpenDatabase = Callable[[Liveness], Shared]


class GatedLink:
    """Batches that pass a gate."""

    def __init__(self, inner: LosingLink, gate: "Gate") -> None:
        self._inner = inner
        self._gate = gate

    def close(self) -> None:
        self._inner.close()

    def write(self, batch: Batch) -> None:
        gate = self._gate
        gate.before_write(batch)
        if gate.loses_answer("before it was written"):
            self._lose_answer()
        try:
            self._inner.write(batch)
        except ClaimedError as error:
            gate.conceded(error.claimed)
            raise
        except MissedError:
            gate.missed(batch)
            raise
        gate.after_write(epochs_of(batch))
        if gate.loses_answer("after it was written"):
            self._lose_answer()
        gate.point("after a transaction")

    def _lose_answer(self) -> None:
        self._inner.lose_answer()
        raise StoreUnavailableError("the connection broke")


def epochs_of(batch: Batch) -> dict[str, int]:
    """Return the epoch in which a batch writes each of its executions."""
    new = cast("list[NewExecution]", batch.rows["executions"])
    return batch.fences | {row.id: row.epoch for row in new}
