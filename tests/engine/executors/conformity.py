"""Bodies that every executor has to run alike; they need nothing but the SDK."""

import asyncio
import os
import sys

from cloacina_sdk import Context, Fatal, Retry


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
