"""Bodies that every executor has to run alike; they need nothing but the SDK."""

import asyncio
import os
import sys
from pathlib import Path

from cloacina_sdk import AsyncTaskHandle, Context, Fatal, Retry, TaskHandle


def adds(context: Context) -> None:
    a, b = context["a"], context["b"]
    assert isinstance(a, int)
    assert isinstance(b, int)
    context["sum"] = a + b
    del context["a"]


def copies(context: Context) -> None:
    context["copy"] = context["big"]


def breaks(_context: Context) -> None:
    raise ValueError("the disk is round")


def stumbles(_context: Context) -> None:
    raise ConnectionError("no route")


def asks_again(_context: Context) -> None:
    raise Retry("later", after=7)


def gives_up(_context: Context) -> None:
    raise Fatal("hopeless")


def leaves(_context: Context) -> None:
    sys.exit(3)


def returns_nonsense(_context: Context) -> int:
    return 5


def waits(context: Context) -> None:
    _tell(str(context["began"]))
    descriptor = os.open(str(context["release"]), os.O_RDONLY)
    try:
        os.read(descriptor, 1)
    finally:
        os.close(descriptor)
    context["waited"] = True


async def waits_async(context: Context) -> None:
    _tell(str(context["began"]))
    loop = asyncio.get_running_loop()
    released = asyncio.Event()
    descriptor = os.open(str(context["release"]), os.O_RDONLY | os.O_NONBLOCK)
    loop.add_reader(descriptor, released.set)
    try:
        await released.wait()
        os.read(descriptor, 1)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    context["waited"] = True


def _tell(fifo: str) -> None:
    descriptor = os.open(fifo, os.O_WRONLY)
    os.write(descriptor, b"x")
    os.close(descriptor)


def remembers(context: Context, handle: TaskHandle) -> None:
    context["before"] = handle.last_checkpoint
    context["key"] = handle.attempt_key
    handle.checkpoint({"é": 1})
    handle.heartbeat(0.5)
    context["got"] = handle.wait_event("go", timeout="1h")


async def remembers_async(context: Context, handle: AsyncTaskHandle) -> None:
    context["before"] = handle.last_checkpoint
    context["key"] = handle.attempt_key
    await handle.checkpoint({"é": 1})
    handle.heartbeat(0.5)
    context["got"] = await handle.wait_event("go", timeout="1h")


def polls(context: Context, handle: TaskHandle) -> None:
    flag = Path(str(context["flag"]))
    handle.defer_until(flag.exists, poll_interval_ms=5)
    context["held"] = handle.is_slot_held()


async def polls_async(context: Context, handle: AsyncTaskHandle) -> None:
    flag = Path(str(context["flag"]))
    await handle.defer_until(flag.exists, poll_interval_ms=5)
    context["held"] = handle.is_slot_held()


def stays_parked(context: Context, handle: TaskHandle) -> None:
    handle.defer_until(lambda: False, poll_interval="90d")


async def stays_parked_async(context: Context, handle: AsyncTaskHandle) -> None:
    await handle.defer_until(lambda: False, poll_interval="90d")


def watches(context: Context, handle: TaskHandle) -> None:
    _tell(str(context["began"]))
    while not handle.is_cancelled():
        pass
    context["saw"] = True


async def watches_async(context: Context, handle: AsyncTaskHandle) -> None:
    _tell(str(context["began"]))
    try:
        while not handle.is_cancelled():
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        assert handle.is_cancelled()
    context["saw"] = True


def swallows(context: Context, handle: TaskHandle) -> None:
    try:
        handle.wait_event("go")
    except BaseException:  # noqa: BLE001 - that is the point
        context["went on"] = True


async def swallows_async(context: Context, handle: AsyncTaskHandle) -> None:
    try:
        await handle.wait_event("go")
    except BaseException:  # noqa: BLE001 - that is the point
        context["went on"] = True


def each_waits(context: Context, item: object, handle: TaskHandle) -> object:
    return [item, handle.attempt_key, handle.wait_event("go")]


async def each_waits_async(context: Context, item: object, handle: AsyncTaskHandle) -> object:
    return [item, handle.attempt_key, await handle.wait_event("go")]
