"""What simulated runners share: a database, and the writer through which faults reach it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, cast

from cloacina.model.states import Wish
from cloacina.planner.events import StoredExecution
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.store.batch import Batch
from cloacina.store.commands import Command
from cloacina.store.ownership import Unowned
from cloacina.store.rows import NewExecution
from cloacina.store.writer import ClaimedError, Link, MissedError
from simulation.snapshot import Snapshot

Accepts = Callable[[Unowned], bool]


class SharedOffers(Protocol):
    """Offers, as ``cloacina.store.offers`` has them."""

    def claimed_from(self, owner: str) -> tuple[SeenOffer, ...]: ...
    def guests(self, runner_id: str) -> dict[str, bool]: ...
    def open_offers(self, runner_id: str) -> list[OpenOffer]: ...
    def claim(
        self,
        runner_id: str,
        accepts: Callable[[OpenOffer], bool],
        new_token: Callable[[], str],
        known: Collection[str],
        at_us: int,
    ) -> Sequence[ClaimedOffer]: ...
    def report(self, reports: Sequence[GuestReport], at_us: int) -> None: ...


class Shared(Protocol):
    """The database, as runners and the monitor see it."""

    def link(self) -> Link:
        """Return a connection that writes batches."""
        ...

    @property
    def offers(self) -> SharedOffers:
        """What runners do with offers beside their commits."""
        ...

    def slots_of_peers(self, runner_id: str) -> int:
        """Return the slots of the other runners, all together."""
        ...

    def register(self, runner_id: str, at_us: int, slots: int, /) -> None:
        """Make a runner known to the others."""

    def runner_ids(self) -> list[str]:
        """Return the registered runners in order."""
        ...

    def release(self, gone: Iterable[str]) -> None:
        """Strike runners out and leave what they owned for others."""

    def unowned(self) -> list[Unowned]:
        """Return the unfinished executions that nobody plans, by id."""
        ...

    def take_over(
        self, runner_id: str, dead: Iterable[str], accepts: Accepts
    ) -> Sequence[StoredExecution]:
        """Release what ``dead`` runners held, claim and load, all in one transaction."""
        ...

    def load(self, execution_id: str) -> StoredExecution:
        """Return an execution as a claim hands it to the planner."""
        ...

    def leave_command(self, command_id: str, execution_id: str, wish: Wish) -> None:
        """Put a command in the inbox."""

    def open_commands(self) -> list[Command]:
        """Return the commands that are not answered, by id."""
        ...

    def close_commands(self, command_ids: Sequence[str]) -> None:
        """Answer commands."""

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the committed rows of every execution; unchanged ones may be the same objects."""
        ...

    def close(self) -> None:
        """Let go of files."""


class Gate(Protocol):
    """Sees every transaction come and go, and may make it fail or end the process."""

    def before_write(self, batch: Batch) -> None: ...
    def after_write(self, batch: Batch) -> None: ...
    def missed(self, batch: Batch) -> None: ...
    def claimed(self, offers: Sequence[SeenOffer]) -> None: ...


class GatedLink:
    """Transactions that pass a gate."""

    def __init__(self, inner: Link, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    def close(self) -> None:
        self._inner.close()

    def write(self, batch: Batch) -> None:
        self._gate.before_write(batch)
        try:
            self._inner.write(batch)
        except ClaimedError as error:
            self._gate.claimed(error.claimed)
            raise
        except MissedError:
            self._gate.missed(batch)
            raise
        self._gate.after_write(batch)


def epochs_of(batch: Batch) -> dict[str, int]:
    """Return the epoch in which a batch writes each of its executions."""
    new = cast("list[NewExecution]", batch.rows["executions"])
    return batch.fences | {row.id: row.epoch for row in new}
