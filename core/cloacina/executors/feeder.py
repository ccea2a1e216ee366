"""Keep the engine safe from executors that others wrote.

* A call that blocks holds up nothing but what waits for the same executor.
* What it raises is the failure of the attempt concerned, or a line in the log.
* What it reports is parsed as if it came from another machine.
"""

import queue
import threading
from collections.abc import Callable

from cloacina.executors.embedded import NOT_BEGUN_TYPE
from cloacina.log import Logger
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import CloacinaError
from cloacina_sdk.executor import (
    Checkpoint,
    ExecutorMetrics,
    Park,
    Reply,
    Report,
    TaskExecutor,
    Unpark,
    ask_document,
    read_ask,
)
from cloacina_sdk.log_line import LogLine, LogSource
from cloacina_sdk.outcome import TaskFailure, failure_of

_LOG = Logger("cloacina")
_NOT_BEGUN = TaskFailure(
    error_type=NOT_BEGUN_TYPE,
    message="it was stopped before its executor took it",
    traceback="",
    is_transient=False,
)


class FedExecutor:
    """An executor that is called in order by a thread of its own."""

    def __init__(self, name: str, executor: TaskExecutor) -> None:
        """Feed ``executor``."""
        self.capacity: int | None = executor.capacity
        self.can_kill = executor.can_kill
        self._name = name
        self._executor = executor
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued: dict[str, Report] = {}
        self._thread: threading.Thread | None = None

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Have the executor begin an attempt as soon as it listens."""
        with self._lock:
            self._queued[event.token] = report
        self._call(lambda: self._start(event, _CheckedReport(self._name, report)))

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Have the executor cancel an attempt; one that waits here for it never begins."""
        with self._lock:
            report = self._queued.pop(token, None)
        if report is not None:
            report.finished(ExecutionResult.failed(token, _NOT_BEGUN))
        else:
            self._call(lambda: self._executor.cancel(token, is_kill=is_kill))

    def metrics(self) -> ExecutorMetrics:
        """Ask the executor."""
        return self._executor.metrics()

    def close(self, timeout_s: float) -> None:
        """Have the executor stop; one that blocks is left behind after ``timeout_s``."""
        self._call(lambda: self._executor.close(timeout_s))
        self._calls.put(None)
        assert self._thread is not None  # noqa: S101 - the call above started it
        self._thread.join(timeout_s + 1.0)
        if self._thread.is_alive():
            _LOG.warning("executor %r did not close within %g s", self._name, timeout_s)

    def _call(self, call: Callable[[], None]) -> None:
        self._calls.put(call)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._feed, name=f"cloacina-executor-{self._name}", daemon=True
                )
                self._thread.start()

    def _feed(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException:  # noqa: BLE001 - nothing that others wrote may stop the engine
                _LOG.exception("executor %r failed", self._name)

    def _start(self, event: TaskReadyEvent, report: "_CheckedReport") -> None:
        with self._lock:
            is_wanted = self._queued.pop(event.token, None) is not None
        if not is_wanted:
            return
        try:
            self._executor.start(event, report)
        except BaseException as error:  # noqa: BLE001 - its fault is this attempt's
            report.finished(ExecutionResult.failed(event.token, failure_of(error)))


class _CheckedReport:
    def __init__(self, name: str, report: Report) -> None:
        self._name = name
        self._report = report

    def finished(self, result: object) -> None:
        """Pass on a result that can be read; another one is a failure."""
        if not isinstance(result, ExecutionResult):
            kind = type(result).__name__
            raise TypeError(f"report.finished() takes an ExecutionResult, not {kind}")
        try:
            checked = ExecutionResult.from_json(result.to_json())
        except (CloacinaError, TypeError, ValueError) as error:
            _LOG.error("executor %r reported what cannot be read: %s", self._name, error)
            checked = ExecutionResult.failed(result.token, failure_of(error))
        self._report.finished(checked)

    def asked(self, token: str, ask: object, answer: Callable[[Reply], None]) -> None:
        """Pass on what can be granted."""
        if not isinstance(ask, Checkpoint | Park | Unpark):
            raise TypeError(f"report.asked() takes an Ask, not {type(ask).__name__}")
        problems: list[str] = []
        checked = read_ask(Fields(ask_document(ask), "$", problems))
        if problems:
            raise TypeError(f"report.asked() takes an Ask: {'; '.join(problems)}")
        self._report.asked(token, checked, answer)

    def said(self, token: str, line: object) -> None:
        """Pass on a line that can be stored."""
        match line:
            case LogLine(source=LogSource(), text=str(), level=int(), logger=str()):
                self._report.said(token, line)
            case _:
                kind = type(line).__name__
                raise TypeError(f"report.said() takes a LogLine of texts, not {kind}")
