"""The port of an async body: it hears the host while its event loop turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloacina_native.frames import Channel
from cloacina_native.worker.port import Line
from cloacina_sdk.asking import Ask, Reply


class LoopPort(Line):
    """The port of one attempt. An attempt that is cancelled has its task cancelled."""

    def __init__(self, channel: Channel, token: str) -> None:
        super().__init__(channel, token)
        self._body: asyncio.Task[object] | None = None
        self._thread = threading.get_ident()
        self._answered: asyncio.Future[Reply] | None = None
        self._is_told = False

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end, as far as the host has said, and the loop has heard."""
        if threading.get_ident() == self._thread:
            self._hear()
        return self._is_cancelled

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the host while the task that calls this, the body's, is inside."""
        loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        loop.add_reader(self.channel.fileno(), self._hear)
        try:
            yield
        finally:
            loop.remove_reader(self.channel.fileno())
            self._body = None

    def ask(self, ask: Ask) -> asyncio.Future[Reply]:
        """Ask the engine; see `AsyncPort`."""
        self._answered = asyncio.get_running_loop().create_future()
        self.send(ask)
        return self._answered

    async def sleep(self, duration_s: float) -> None:
        """Wait so long."""
        await asyncio.sleep(duration_s)

    def _hear(self) -> None:
        self.look()
        answered = self._answered
        if self._reply is not None and answered is not None and not answered.done():
            answered.set_result(self._reply)
        if self._is_cancelled and not self._is_told and self._body is not None:
            self._is_told = True
            self._body.cancel()
