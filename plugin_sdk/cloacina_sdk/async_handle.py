"""The handle of an async body: what `TaskHandle` is to a sync one."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cloacina_sdk.any_handle import AnyHandle
from cloacina_sdk.asking import Ask, Park, Reply, Unpark
from cloacina_sdk.errors import HandleMisuseError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.port import AsyncPort
from cloacina_sdk.unwinding import Deferred
from cloacina_sdk.wait_condition import Condition, Duration, Poll, SentEvent
from cloacina_sdk.waiting import Memory, Wait

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class AsyncTaskHandle(AnyHandle):
    """The handle of an async body. What waits or keeps is awaited, in the body's own task.

    What is asked of the engine is not left halfway: a time limit of the body's own around it, as
    `asyncio.timeout` sets one, strikes after the answer.
    """

    def __init__(
        self,
        port: AsyncPort,
        memory: Memory,
        key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(port, memory, key, clock=clock)
        self._port = port
        self._calls: list[tuple[str, Coroutine[Any, Any, Any]]] = []

    def defer_until(
        self,
        condition: Condition,
        poll_interval_ms: int | None = None,
        *,
        poll_interval: Duration | None = None,
        timeout: Duration | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Wait without taking a slot; see `TaskHandle.defer_until`. A function may be async."""
        return self._to_await(
            "defer_until",
            self._defer_until(condition, poll_interval_ms, poll_interval, timeout),
        )

    def wait_event(
        self, name: str, *, timeout: Duration | None = None
    ) -> Coroutine[Any, Any, JsonValue]:
        """Wait for an event and return what came with it; see `TaskHandle.wait_event`."""
        return self._to_await("wait_event", self._wait_event(name, timeout))

    def checkpoint(self, value: JsonValue) -> Coroutine[Any, Any, None]:
        """Keep a value for later runs of this task; see `TaskHandle.checkpoint`."""
        return self._to_await("checkpoint", self._keep(value))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the body to its course, and to awaiting what it calls; see `AnyHandle.running`.

        Raises:
            HandleMisuseError: if it did not await a call, and has raised no error of its own.
        """
        try:
            with super().running():
                yield
        except Deferred:
            self._check_awaited()
            raise
        except BaseException as error:
            for name in self._left_unawaited():
                error.add_note(f"(and handle.{name}() was never awaited)")
            raise
        else:
            self._check_awaited()

    def _to_await(self, name: str, call: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        self._calls = [one for one in self._calls if _is_unawaited(one[1])]
        self._calls.append((name, call))
        return call

    def _check_awaited(self) -> None:
        for name in self._left_unawaited():
            raise HandleMisuseError(
                f"The body called handle.{name}() and never awaited it; write await handle.{name}(...)"
            )

    def _left_unawaited(self) -> list[str]:
        """Return the names of calls that nobody awaited, which nobody can await any more."""
        calls, self._calls = self._calls, []
        left = [(name, call) for name, call in calls if _is_unawaited(call)]
        for _, call in left:
            call.close()  # the interpreter would warn about it
        return [name for name, _ in left]

    async def _defer_until(
        self,
        condition: Condition,
        poll_interval_ms: int | None,
        poll_interval: Duration | None,
        timeout: Duration | None,
    ) -> None:
        wait = self._read(
            condition,
            poll_interval=poll_interval,
            poll_interval_ms=poll_interval_ms,
            timeout=timeout,
        )
        if isinstance(wait, Poll):
            await self._poll(wait)
        else:
            self._passed(wait)

    async def _wait_event(self, name: str, timeout: Duration | None) -> JsonValue:
        wait = self._read(
            SentEvent(name), poll_interval=None, poll_interval_ms=None, timeout=timeout
        )
        assert isinstance(wait, Wait)  # noqa: S101 - an event is data
        return self._passed(wait)

    async def _keep(self, value: JsonValue) -> None:
        await self._ask(self._kept(value))

    def _caller(self) -> object:
        import asyncio  # noqa: PLC0415 - loaded by then wherever an async body runs

        try:
            return asyncio.current_task()
        except RuntimeError:  # a thread without a loop
            return None

    async def _ask(self, ask: Ask) -> None:
        self._check_going_on()
        answered = self._port.ask(ask)
        struck = await self._settled(answered)
        self._take(ask, answered.result())
        if struck is not None:
            raise struck

    async def _settled(self, answered: asyncio.Future[Reply]) -> BaseException | None:
        """Wait for an answer; return what a time limit of the body's own raised meanwhile."""
        import asyncio  # noqa: PLC0415 - loaded by then wherever an async body runs

        struck: BaseException | None = None
        while not answered.done():
            try:
                await asyncio.wait([answered])
            except asyncio.CancelledError as error:
                if self._port.is_cancelled():
                    raise
                struck = error
        return struck

    async def _poll(self, poll: Poll) -> None:
        deadline_s = self._deadline_s(poll)
        if await self._holds(poll):
            return
        self._pause_s(poll, deadline_s)
        try:
            await self._ask(Park())
            await self._poll_on(poll, deadline_s)
        except BaseException:
            is_going_on = self._stopped is None and not self._port.is_cancelled()
            if self._is_parked and is_going_on:  # the condition raised, or a time limit struck
                await self._ask(Unpark())
            raise
        await self._ask(Unpark())

    async def _poll_on(self, poll: Poll, deadline_s: float) -> None:
        while True:
            await self._port.sleep(self._pause_s(poll, deadline_s))
            if await self._holds(poll):
                return

    async def _holds(self, poll: Poll) -> bool:
        self._is_polling = True
        try:
            found: Any = poll.condition()
            if hasattr(found, "__await__"):
                found = await found
            return bool(found)
        finally:
            self._is_polling = False


def _is_unawaited(call: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(call) == inspect.CORO_CREATED
