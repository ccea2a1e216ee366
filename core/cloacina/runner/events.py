"""Follow the history of executions while it is written, by whichever runner.

Nothing is polled: whoever follows is woken by commits of this runner, and by the bells of others,
who are asked again now and then whether they would ring.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, Self
from weakref import WeakSet

from cloacina.ownership.neighbours import ASKED_FOR_S
from cloacina.runner.loops import refuse_on_loop
from cloacina.store.events import ExecutionEvent, Page

_ASK_AGAIN_S: Final = ASKED_FOR_S / 3


class EventSource(Protocol):
    """Where a stream has its events from."""

    def read_events(self, execution_id: str, after: int) -> Page:
        """Return what follows an event.

        Raises:
            ExecutionNotFoundError: if there is no such execution.
            RunnerClosedError: if the runner was shut down.
        """
        ...

    def ask_for_changes(self) -> None:
        """Have the other runners ring when they change something."""


class Bulletin:
    """Who follows something in this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: WeakSet[EventStream] = WeakSet()  # one that nobody reads any more is let go

    def add(self, stream: "EventStream") -> None:
        """Wake a stream when something changes, until it is dropped."""
        with self._lock:
            self._streams.add(stream)

    def changed(self) -> None:
        """Wake everybody: something may have been written."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.wake()


class EventStream:
    """The events of one execution in their order, as an iterator or as an async iterator.

    Where an event loop runs, only ``async for`` can follow what is still written.

    It is for one reader, a thread or a coroutine; ``close`` may be called by any.
    """

    def __init__(
        self, execution_id: str, source: EventSource, *, after: int, is_following: bool
    ) -> None:
        """Made by the runner."""
        self.execution_id: Final = execution_id
        self._source = source
        self._after = after
        self._is_following = is_following
        self._events: deque[ExecutionEvent] = deque()
        self._is_over = False
        self._is_closed = False
        self._woken = threading.Event()
        self._wake_reader: Callable[[], None] = self._woken.set

    def wake(self) -> None:
        """Have the reader look again. Safe to call from any thread."""
        self._wake_reader()

    def close(self) -> None:
        """End the stream; a reader that waits is told that it is over."""
        self._is_closed = True
        self.wake()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ExecutionEvent:
        if self._is_following:
            refuse_on_loop("following events", "async for event in ...")
        while not self._has_next():
            self._woken.clear()
            if self._look():
                self._source.ask_for_changes()
                self._woken.wait(_ASK_AGAIN_S)
        return self._take()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ExecutionEvent:
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the reader's loop may be closed
                loop.call_soon_threadsafe(woken.set)

        self._wake_reader = wake
        while not self._has_next(StopAsyncIteration):
            woken.clear()
            if await asyncio.to_thread(self._look):
                self._source.ask_for_changes()
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), _ASK_AGAIN_S)
        return self._take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _has_next(self, end: type[Exception] = StopIteration) -> bool:
        if self._is_closed or (self._is_over and not self._events):
            raise end
        return bool(self._events)

    def _look(self) -> bool:
        """Read what follows; return whether there is nothing, and more may come."""
        page = self._source.read_events(self.execution_id, self._after)
        self._events.extend(page.events)
        self._is_over = page.is_over or (page.is_last and not self._is_following)
        return not page.events and not self._is_over and not self._is_closed

    def _take(self) -> ExecutionEvent:
        event = self._events.popleft()
        self._after = event.sequence
        return event
