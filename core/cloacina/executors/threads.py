"""Run sync tasks of embedded workflows on threads of the engine's own."""

import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from cloacina.executors.contract import Attempt, Report
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform, perform_element


class ThreadExecutor:
    """Threads, made when all others are busy, up to a limit; they take attempts in turn."""

    def __init__(self, max_threads: int) -> None:
        """Run at most ``max_threads`` bodies at once; further attempts wait in order."""
        self._max_threads = max_threads
        self._attempts: queue.SimpleQueue[tuple[Attempt, Report] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._lock = threading.Lock()

    def start(self, attempt: Attempt, report: Report) -> None:
        """Begin ``attempt`` on a thread."""
        with self._lock:
            if self._waiting:
                self._waiting -= 1
            elif len(self._threads) < self._max_threads:
                name = f"cloacina-task-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._attempts.put((attempt, report))

    def stop(self, token: str, *, is_kill: bool) -> None:
        """Do nothing: a thread ends when its body does."""

    def close(self, timeout_s: float) -> None:
        """Let bodies that run end, for at most ``timeout_s`` in all."""
        for _ in self._threads:
            self._attempts.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():  # a body may close its own runner
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (work := self._attempts.get()) is not None:
            attempt, report = work
            run_attempt(attempt, report)
            with self._lock:
                self._waiting += 1


def run_attempt(attempt: Attempt, report: Report) -> None:
    """Run the body of an embedded sync task in a copy of its submitter's context variables."""
    assert attempt.function is not None  # noqa: S101 - routed here because it is embedded
    variables = attempt.variables.copy() if attempt.variables else contextvars.Context()
    try:
        changes = variables.run(_perform, attempt.function, attempt)
    except BaseException as error:  # noqa: BLE001 - a user's task may raise anything, SystemExit too
        report(failure_of(error))
    else:
        report(changes)


def _perform(function: Callable[..., Any], attempt: Attempt) -> Changes:
    if attempt.element is None:
        return perform(function, attempt.texts)
    return perform_element(function, attempt.texts, attempt.element)
