"""What a runner needs of its database, whichever it is."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

import sqlalchemy as sa

from cloacina.errors import RejectedWriteError
from cloacina.planner.execution import ExecutionState
from cloacina.planner.offered import SeenOffer

POOL_SIZE: Final = 4
"""How many connections for reading are kept open unless somebody says otherwise."""


@dataclass(slots=True)
class Written:
    """How a group commit went."""

    saved: list[ExecutionState] = field(default_factory=list)
    lost: list[ExecutionState] = field(default_factory=list)
    """No longer this owner's; nothing of them was written."""
    rejected: list[tuple[ExecutionState, RejectedWriteError]] = field(default_factory=list)
    contended: list[ExecutionState] = field(default_factory=list)
    """Not written, because others have slots of keys or rates that their attempts should have."""
    contested: list[ExecutionState] = field(default_factory=list)
    """Not written: they were to withdraw offers that somebody had claimed."""
    claimed: list[SeenOffer] = field(default_factory=list)
    """Those offers."""
    postponed: list[ExecutionState] = field(default_factory=list)
    """Not known to be written; the same write may succeed later."""
    obstacle: str = ""
    """Why something was postponed."""

    def postpone(self, executions: Sequence[ExecutionState], error: Exception) -> None:
        """Note that ``executions`` have to be written later."""
        self.postponed.extend(executions)
        self.obstacle = str(error)

    def add(self, part: "Written") -> None:
        """Add how a part of the batch went."""
        self.saved += part.saved
        self.lost += part.lost
        self.rejected += part.rejected
        self.contended += part.contended
        self.contested += part.contested
        self.claimed += part.claimed
        self.postponed += part.postponed
        self.obstacle = part.obstacle or self.obstacle


class Writer(Protocol):
    """The one writing connection of a runner. Belongs to the kernel's thread."""

    def commit(self, executions: Sequence[ExecutionState]) -> Written:
        """Write everything unsaved of ``executions``, as far as the database takes it now.

        What is postponed is all that the next call may name: the writer offers it as it was.

        Raises:
            EvictedError: the other runners hold this one for dead; what it owned is theirs.
        """
        ...

    def abandon(self) -> None:
        """Forget what was postponed: nobody offers it again, though it may have been written."""

    def close(self) -> None:
        """Close the connection."""


class Database(Protocol):
    """An open database: transactions for anybody, one writer for the kernel."""

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that sees one consistent state and changes nothing.

        Raises:
            StoreUnavailableError: if the same may succeed later.
            EngineError: if the database cannot be read.
        """
        ...

    def write(self, *, patience_s: float | None = None) -> AbstractContextManager[sa.Connection]:
        """Open a writing transaction for a block: committed at its end, rolled back on an error.

        Args:
            patience_s: how long to wait for each lock that others hold; ``None`` for the usual.

        Raises:
            StoreUnavailableError: if the same may succeed later.
            EngineError: if the database refuses it.
        """
        ...

    def open_writer(self, owner: str) -> Writer:
        """Open the connection on which the runner ``owner`` commits what its executions do."""
        ...

    def close(self) -> None:
        """Close every connection."""
