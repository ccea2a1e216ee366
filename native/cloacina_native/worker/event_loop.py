"""Run a coroutine on an event loop of its own.

This is `asyncio.run` but for one thing: what the coroutine leaves behind cannot hold up its
end. Left tasks are cancelled and get a short time, left threads are not waited for at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_S = 1.0


def run_alone(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            loop.run_until_complete(_wind_up(loop))
        finally:
            loop.close()  # lets threads of the default executor go, without waiting


async def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    closing = asyncio.ensure_future(loop.shutdown_asyncgens())
    await asyncio.wait({*left, closing}, timeout=_PATIENCE_S)
