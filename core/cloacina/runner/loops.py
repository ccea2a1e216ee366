"""Refuse to block an event loop."""

import asyncio

from cloacina.errors import RunningLoopError


def refuse_on_loop(call: str, instead: str) -> None:
    """Raise if an event loop runs in this thread: what ``call`` waits for may need that loop.

    Raises:
        RunningLoopError: naming ``instead``, which is to be written there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RunningLoopError(call, instead)
