"""Run sync tasks of embedded workflows on threads of the engine's own."""

import queue
import threading
import time

from cloacina.executors.embedded import Body, FindBody
from cloacina.executors.listening import listen
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.executor import ExecutorMetrics, Report, Tally
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform


class ThreadExecutor:
    """Threads, made when all others are busy, up to a limit; they take attempts in turn."""

    can_kill = False

    def __init__(self, max_threads: int, find_body: FindBody) -> None:
        """Run at most ``max_threads`` bodies at once; further attempts wait in order."""
        self.capacity: int | None = max_threads
        self._max_threads = max_threads
        self._find_body = find_body
        self._work: queue.SimpleQueue[tuple[TaskReadyEvent, Body, Report] | None]
        self._work = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._lock = threading.Lock()
        self._tally = Tally()

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Begin an attempt on a thread.

        Raises:
            LookupError: if its body is not registered here.
        """
        body = self._find_body(event)
        self._tally.begin(event.token)
        with self._lock:
            if self._waiting:
                self._waiting -= 1
            elif len(self._threads) < self._max_threads:
                name = f"cloacina-task-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._work.put((event, body, report))

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Do nothing: a thread ends when its body does."""

    def metrics(self) -> ExecutorMetrics:
        """Return what it did so far."""
        return self._tally.metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        """Let bodies that run end, for at most ``timeout_s`` in all."""
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():  # a body may close its own runner
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            event, body, report = work
            result = run_body(event, body, report)
            with self._lock:
                self._waiting += 1
            self._tally.end(result)
            report.finished(result)


def run_body(event: TaskReadyEvent, body: Body, report: Report) -> ExecutionResult:
    """Run the body of an embedded sync task in a copy of its submitter's context variables."""
    variables = body.own_variables()
    listen(variables, lambda line: report.said(event.token, line))
    try:
        changes = variables.run(perform, body.function, event.texts, event.element)
    except BaseException as error:  # noqa: BLE001 - a user's task may raise anything, SystemExit too
        return ExecutionResult.failed(event.token, failure_of(error))
    return ExecutionResult.succeeded(event.token, changes)
