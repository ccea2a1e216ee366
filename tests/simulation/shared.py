"""What simulated runners share: a database, and the writer through which faults reach it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from cloacina.model.states import Wish
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import StoredExecution
from cloacina.store.batch import Batch
from cloacina.store.commands import Command
from cloacina.store.ownership import Unowned
from cloacina.store.rows import NewExecution
from cloacina.store.writer import Link, MissedError
from simulation.snapshot import Snapshot

Accepts = Callable[[Unowned], bool]


class Shared(Protocol):
    """The database, as runners and the monitor see it."""

    def link(self) -> Link:
        """Return a connection that writes batches."""
        ...

    def register(self, runner_id: str, at_us: int, /) -> None:
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

    def taken(self, question: Question) -> Taken:
        """Return who has slots of keys and rates."""
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
        except MissedError:
            self._gate.missed(batch)
            raise
        self._gate.after_write(batch)


def epochs_of(batch: Batch) -> dict[str, int]:
    """Return the epoch in which a batch writes each of its executions."""
    new = cast("list[NewExecution]", batch.rows["executions"])
    return batch.fences | {row.id: row.epoch for row in new}
