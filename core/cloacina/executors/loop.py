"""Run async tasks of embedded workflows on one event loop."""

import asyncio
import concurrent.futures
import contextvars
import threading
from contextlib import suppress

from cloacina.executors.contract import Attempt, Report
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform_async, perform_element_async


class LoopExecutor:
    """Runs coroutines on the loop it adopted, or on one in a thread of its own."""

    def __init__(self) -> None:
        """Start a loop when one is first needed, unless ``adopt`` brings one before."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what starts from now on on ``loop``, which somebody else runs."""
        self._loop = loop

    def start(self, attempt: Attempt, report: Report) -> None:
        """Begin ``attempt`` on the loop."""
        if self._loop is None:
            self._loop = self._own_loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._own_loop.run_forever, name="cloacina-loop", daemon=True
            )
            self._thread.start()
        self._loop.call_soon_threadsafe(self._begin, self._loop, attempt, report)

    def stop(self, token: str, *, is_kill: bool) -> None:
        """Cancel the coroutine; one that ignores it is cancelled again when it is to be killed."""
        task = self._tasks.get(token)
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)

    def close(self, timeout_s: float) -> None:
        """Cancel what still runs and stop a loop of our own, waiting at most ``timeout_s``."""
        for loop in {self._loop, self._own_loop} - {None}:
            if loop is not None and loop.is_running():
                ended = asyncio.run_coroutine_threadsafe(self._cancel_all(loop), loop)
                with suppress(
                    concurrent.futures.TimeoutError
                ):  # a body may ignore its cancellation
                    ended.result(timeout_s)
        if self._own_loop is not None and self._thread is not None:
            self._own_loop.call_soon_threadsafe(self._own_loop.stop)
            self._thread.join(timeout_s)
            if not self._thread.is_alive():
                self._own_loop.close()

    def _begin(self, loop: asyncio.AbstractEventLoop, attempt: Attempt, report: Report) -> None:
        variables = attempt.variables.copy() if attempt.variables else contextvars.Context()
        task = loop.create_task(_run(attempt, report), context=variables)
        self._tasks[attempt.token] = task
        task.add_done_callback(lambda _: self._tasks.pop(attempt.token, None))

    async def _cancel_all(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = [task for task in self._tasks.values() if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(attempt: Attempt, report: Report) -> None:
    assert attempt.function is not None  # noqa: S101 - routed here because it is embedded
    try:
        if attempt.element is None:
            changes = await perform_async(attempt.function, attempt.texts)
        else:
            changes = await perform_element_async(attempt.function, attempt.texts, attempt.element)
    except BaseException as error:
        report(failure_of(error))
        if isinstance(error, asyncio.CancelledError):
            raise
    else:
        report(changes)
