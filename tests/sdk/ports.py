"""Engines in memory for handles: they grant what is asked for, and their time passes at once."""

import asyncio
from collections.abc import Callable, Iterable

from cloacina_sdk.asking import Ask, Checkpoint, Reply
from cloacina_sdk.async_handle import AsyncTaskHandle
from cloacina_sdk.changes import Changes
from cloacina_sdk.handle import TaskHandle
from cloacina_sdk.perform import perform, perform_async
from cloacina_sdk.waiting import Memory, PassedWait, Wait, WaitKind


class Engine:
    """Keeps what is asked, told and slept, in order."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.slept_s: list[float] = []
        self.progress: list[float] = []
        self.now_s = 0.0
        self.is_cancelling = False
        self.answer: Callable[[Ask], Reply | None] = lambda _ask: Reply.DONE
        self.on_sleep: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now_s

    def is_cancelled(self) -> bool:
        return self.is_cancelling

    def progressed(self, progress: float) -> None:
        self.progress.append(progress)

    @property
    def names(self) -> list[str]:
        return [type(ask).__name__ for ask in self.asks]

    @property
    def checkpoints(self) -> list[str]:
        return [ask.text for ask in self.asks if isinstance(ask, Checkpoint)]


class SyncEngine(Engine):
    """A ``Port``."""

    def ask(self, ask: Ask) -> Reply | None:
        self.asks.append(ask)
        return self.answer(ask)

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s
        self.on_sleep()

    def handle(self, memory: Memory | None = None) -> TaskHandle:
        return TaskHandle(self, memory or Memory(), "e/t", clock=self.clock)

    def run(
        self, body: Callable[..., object], *waits: PassedWait, checkpoint: str | None = None
    ) -> Changes | Wait:
        """Run a body once, with what earlier runs left."""
        return perform(body, {}, None, self.handle(Memory(waits=waits, checkpoint=checkpoint)))


class AsyncEngine(Engine):
    """An ``AsyncPort``."""

    def ask(self, ask: Ask) -> "asyncio.Future[Reply]":
        self.asks.append(ask)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Reply] = loop.create_future()
        reply = self.answer(ask)
        if reply is not None:
            loop.call_soon(lambda: loop.call_soon(answered.set_result, reply))
        return answered

    async def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s
        self.on_sleep()
        await asyncio.sleep(0)

    def run(
        self, body: Callable[..., object], *waits: PassedWait, checkpoint: str | None = None
    ) -> Changes | Wait:
        memory = Memory(waits=waits, checkpoint=checkpoint)
        handle = AsyncTaskHandle(self, memory, "e/t", clock=self.clock)
        awaited: Callable[..., object] = body
        return asyncio.run(perform_async(awaited, {}, None, handle))  # type: ignore[arg-type]  # lambdas too


def came(name: str, payload: str | None = None) -> PassedWait:
    return PassedWait(kind=WaitKind.EVENT, name=name, payload=payload)


def gave_up(name: str, kind: WaitKind = WaitKind.EVENT) -> PassedWait:
    return PassedWait(kind=kind, name=name, is_timed_out=True)


def held(name: str) -> PassedWait:
    return PassedWait(kind=WaitKind.CONDITION, name=name)


TIME_PASSED = PassedWait(kind=WaitKind.TIME)


def in_turn(values: Iterable[object]) -> Callable[[], object]:
    """Return a function that returns one value after the other, and raises those that are errors."""
    waiting = list(values)

    def condition() -> object:
        value = waiting.pop(0)
        if isinstance(value, BaseException):
            raise value
        return value

    return condition
