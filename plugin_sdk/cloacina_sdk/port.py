"""What a handle needs of whoever runs its body: a way to ask the engine, and to sleep.

An executor brings one port for each attempt of a task that takes a handle. All methods but
`is_cancelled` and `progressed` are called by the body's own thread, or task, and one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloacina_sdk.asking import Ask, Reply

if TYPE_CHECKING:
    import asyncio


class AnyPort(Protocol):
    """What the ports of sync and of async bodies have in common."""

    def is_cancelled(self) -> bool:
        """Tell, without blocking, whether the attempt is to end. Called by any thread."""
        ...

    def progressed(self, progress: float) -> None:
        """Pass on how far the body is, from 0 to 1. Called by any thread; never blocks."""
        ...


class Port(AnyPort, Protocol):
    """The port of a sync body."""

    def ask(self, ask: Ask) -> Reply | None:
        """Ask the engine and wait for its answer.

        Return None if the attempt is cancelled before that; a checkpoint is waited for even so.
        After None it is not called again.
        """
        ...

    def sleep(self, duration_s: float) -> None:
        """Wait so long, or until the attempt is cancelled."""
        ...


class AsyncPort(AnyPort, Protocol):
    """The port of an async body. Cancelling its task is how an attempt is told to end."""

    def ask(self, ask: Ask) -> asyncio.Future[Reply]:
        """Ask the engine; the future, of the running loop, gets its answer.

        If the attempt is cancelled before that, nobody waits for it any more.
        """
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait so long."""
        ...
