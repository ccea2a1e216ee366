"""Run async tasks of embedded workflows on one event loop."""

import asyncio
import concurrent.futures
import threading
from contextlib import suppress

from cloacina.executors.embedded import Body, FindBody
from cloacina.executors.listening import listen
from cloacina.executors.loop_port import LoopPort
from cloacina_sdk.any_handle import attempt_key
from cloacina_sdk.async_handle import AsyncTaskHandle
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.executor import ExecutorMetrics, Report, Tally
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform_async

_LOOP_TURN_S = 1.0
"""Within that time a loop that no body blocks does what it is asked for."""


class LoopExecutor:
    """Runs coroutines on the loop it adopted, or on one in a thread of its own."""

    capacity: int | None = None
    can_kill = False

    def __init__(self, find_body: FindBody) -> None:
        """Start a loop when one is first needed, unless ``adopt`` brings one before."""
        self._find_body = find_body
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._loop_of: dict[str, asyncio.AbstractEventLoop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ports: dict[str, LoopPort] = {}
        self._tally = Tally()

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what starts from now on on ``loop``, which somebody else runs."""
        self._loop = loop

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Begin an attempt on the loop.

        Raises:
            LookupError: if its body is not registered here.
            RuntimeError: if the loop that was adopted is closed.
        """
        body = self._find_body(event)
        if self._loop is None:
            self._loop = self._own_loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._own_loop.run_forever, name="cloacina-loop", daemon=True
            )
            self._thread.start()
        loop = self._loop
        self._loop_of[event.token] = loop
        if event.memory is not None:
            self._ports[event.token] = LoopPort(event.token, report)
        self._tally.begin(event.token)
        try:
            loop.call_soon_threadsafe(self._begin, loop, event, body, report)
        except RuntimeError as error:
            del self._loop_of[event.token]
            self._ports.pop(event.token, None)
            self._tally.end(ExecutionResult.failed(event.token, failure_of(error)))
            raise

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Cancel the coroutine; one that ignores it is cancelled again when it is to be killed."""
        loop, port = self._loop_of.get(token), self._ports.get(token)
        if port is not None:
            port.cancel()
        if loop is not None:  # on the loop, for it may be about to begin there
            loop.call_soon_threadsafe(self._cancel, token)

    def metrics(self) -> ExecutorMetrics:
        """Return what it did so far."""
        return self._tally.metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        """Cancel what still runs and stop a loop of our own, waiting at most ``timeout_s``."""
        for loop in {self._loop, self._own_loop} - {None}:
            if loop is not None and loop.is_running():
                ended = asyncio.run_coroutine_threadsafe(self._cancel_all(loop, timeout_s), loop)
                with suppress(concurrent.futures.TimeoutError):  # a body may block the loop
                    ended.result(timeout_s + _LOOP_TURN_S)
        if self._own_loop is not None and self._thread is not None:
            self._own_loop.call_soon_threadsafe(self._own_loop.stop)
            self._thread.join(_LOOP_TURN_S)
            if not self._thread.is_alive():
                self._own_loop.close()

    def _begin(
        self, loop: asyncio.AbstractEventLoop, event: TaskReadyEvent, body: Body, report: Report
    ) -> None:
        variables = body.own_variables()
        listen(variables, lambda line: report.said(event.token, line))
        task = loop.create_task(self._run(event, body, report), context=variables)
        self._tasks[event.token] = task
        task.add_done_callback(lambda _: self._ended(event, report))

    async def _run(self, event: TaskReadyEvent, body: Body, report: Report) -> None:
        try:
            handle = self._handle_of(event)
            outcome = await perform_async(body.function, event.texts, event.element, handle)
        except BaseException as error:
            self._tell(ExecutionResult.failed(event.token, failure_of(error)), report)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._tell(ExecutionResult.of(event.token, outcome), report)

    def _handle_of(self, event: TaskReadyEvent) -> AsyncTaskHandle | None:
        port = self._ports.get(event.token)
        if port is None or event.memory is None:
            return None
        key = attempt_key(event.execution_id, event.namespace.task_id, event.element)
        return AsyncTaskHandle(port, event.memory, key)

    def _tell(self, result: ExecutionResult, report: Report) -> None:
        self._loop_of.pop(result.token, None)
        self._ports.pop(result.token, None)
        if self._tally.end(result):
            report.finished(result)

    def _ended(self, event: TaskReadyEvent, report: Report) -> None:
        del self._tasks[event.token]
        never_began = failure_of(asyncio.CancelledError("it was cancelled before it began"))
        self._tell(ExecutionResult.failed(event.token, never_began), report)

    def _cancel(self, token: str) -> None:
        task = self._tasks.get(token)
        if task is not None:
            task.cancel()

    async def _cancel_all(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        for port in list(self._ports.values()):
            port.cancel()
        tasks = [task for task in self._tasks.values() if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)  # a body may ignore its cancellation
