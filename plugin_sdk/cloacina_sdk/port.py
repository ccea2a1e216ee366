"""What a handle needs of whoever runs its body: a way to ask the engine, and to sleep.

An executor brings one port for each attempt of a task that takes a handle. All methods but
`is_cancelled` and `progressed` are called by the body's own thread, or task, and one at a time.
"""

from __future__ import annotations

from typing import Protocol

from cloacina_sdk.asking import Ask, Reply


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

    async def ask(self, ask: Ask) -> Reply | None:
        """Ask the engine and wait for its answer; return None if the attempt is cancelled.

        If only the caller is cancelled (by a time limit of the body's own), it waits for the
        answer all the same and raises after that.
        """
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait so long."""
        ...
