"""Run the tasks of packages in worker processes, one attempt at a time in each.

Each package digest has its own processes, started when attempts need them. A worker that dies
costs one attempt; the next attempt gets a new worker. One whose body is parked does not count.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from cloacina.errors import PackageNotLoadedError
from cloacina.executors.crew import Crew, Stand
from cloacina.executors.embedded import NOT_BEGUN_TYPE
from cloacina_native.log_lines import LogLine, LogSource
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.asking import Ask, Reply
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.changes import Changes
from cloacina_sdk.executor import ExecutorMetrics, Report, Tally
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.waiting import Wait

StartWorker = Callable[[], WorkerProcess]
"""Starts a process that has loaded the package, or raises."""

_Work: TypeAlias = tuple[TaskReadyEvent, Report]

_NOT_BEGUN = TaskFailure(
    error_type=NOT_BEGUN_TYPE,
    message="it was stopped before its worker was free",
    traceback="",
    is_transient=False,
)
_TASK_LOG = logging.getLogger("cloacina.task")


class WorkerExecutor:
    """Worker processes by package digest."""

    capacity: int | None = None
    can_kill = True

    def __init__(self) -> None:
        self._pools: dict[str, _Pool] = {}
        self._tally = Tally()

    def serve(
        self, digest: str, start_worker: StartWorker, *, max_workers: int, warm: WorkerProcess
    ) -> None:
        """Run attempts of package ``digest`` from now on, on ``warm`` first."""
        self._pools[digest] = _Pool(start_worker, max_workers, warm, self._tally)

    def dismiss(self, digest: str, timeout_s: float) -> None:
        """End the workers of a package; attempts that run have ``timeout_s`` to end."""
        pool = self._pools.pop(digest, None)
        if pool is not None:
            pool.close(timeout_s)

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Begin an attempt on a worker of its package.

        Raises:
            PackageNotLoadedError: if its digest is not served here.
        """
        pool = self._pools.get(event.package_digest or "")
        if pool is None:
            raise PackageNotLoadedError(event.package_digest)
        pool.put(event, report)

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Kill the worker that runs the attempt; one that is only asked may go on until then.

        A body with a handle is told by it. What has not begun yet never does, and is reported at
        once.
        """
        for pool in list(self._pools.values()):
            pool.cancel(token, is_kill=is_kill)

    def metrics(self) -> ExecutorMetrics:
        """Return what it did so far."""
        return self._tally.metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        """End every worker."""
        deadline = time.monotonic() + timeout_s
        for digest in list(self._pools):
            self.dismiss(digest, max(0.0, deadline - time.monotonic()))


class _Pool:
    """The workers of one digest, each driven by a thread that starts it again when it is gone."""

    def __init__(
        self, start_worker: StartWorker, max_workers: int, warm: WorkerProcess, tally: Tally
    ) -> None:
        self._start_worker = start_worker
        self._tally = tally
        self._spare: list[WorkerProcess] = [warm]
        self._crew: Crew[_Work] = Crew("cloacina-worker", max_workers, self._drive)
        self._lock = threading.Lock()
        self._in_use: set[WorkerProcess] = set()
        self._running: dict[str, WorkerProcess] = {}
        self._queued: dict[str, Report] = {}
        self._is_closing = False

    def put(self, event: TaskReadyEvent, report: Report) -> None:
        self._tally.begin(event.token)
        with self._lock:
            self._queued[event.token] = report
        self._crew.put((event, report))

    def cancel(self, token: str, *, is_kill: bool) -> None:
        with self._lock:
            worker = self._running.get(token)
            report = self._queued.pop(token, None)
        if report is not None:
            self._tell(ExecutionResult.failed(token, _NOT_BEGUN), report)
        elif worker is not None:
            if is_kill:
                worker.interrupt()
            else:
                worker.cancel(token)

    def close(self, timeout_s: float) -> None:
        """Let attempts that run end within ``timeout_s``; those in the queue do not begin.

        Those that are parked have no time.
        """
        self._is_closing = True
        self._crew.close()
        self._crew.join(timeout_s, parked=False)
        with self._lock:
            late = list(self._in_use)
        for worker in late:
            worker.interrupt()
        self._crew.join(threading.TIMEOUT_MAX, parked=True)
        for worker in self._spare:
            worker.close(0)

    def _drive(self, works: Iterator[_Work]) -> None:
        worker: WorkerProcess | None = None
        for event, report in works:
            try:
                worker = worker if self._is_closing else self._usable(worker)
                outcome = _NOT_BEGUN if worker is None else self._attempt(worker, event, report)
            except Exception as error:  # noqa: BLE001 - whatever a package does ends its own attempt only
                outcome = failure_of(error)
            with self._lock:
                self._queued.pop(event.token, None)
                self._running.pop(event.token, None)
            self._tell(ExecutionResult.of(event.token, outcome), report)
        if worker is not None:
            with self._lock:
                self._in_use.discard(worker)
            worker.close(1.0)

    def _tell(self, result: ExecutionResult, report: Report) -> None:
        if self._tally.end(result):  # else it was cancelled in the queue, and told then
            report.finished(result)

    def _usable(self, worker: WorkerProcess | None) -> WorkerProcess:
        """Return ``worker`` if it lives; otherwise a spare or a new one in its place."""
        if worker is not None and worker.is_alive:
            return worker
        if worker is not None:
            with self._lock:
                self._in_use.discard(worker)
            worker.close(0)
        with self._lock:
            spare = self._spare.pop() if self._spare else None
        usable = spare if spare is not None else self._start_worker()
        with self._lock:
            self._in_use.add(usable)
        return usable

    def _attempt(
        self, worker: WorkerProcess, event: TaskReadyEvent, report: Report
    ) -> Changes | TaskFailure | Wait:
        with self._lock:
            is_wanted = self._queued.pop(event.token, None) is not None
            if self._is_closing or not is_wanted:
                return _NOT_BEGUN
            self._running[event.token] = worker
        stand = Stand(self._crew)
        try:
            return self._run(worker, event, report, stand)
        finally:
            stand.leave()

    @staticmethod
    def _run(
        worker: WorkerProcess, event: TaskReadyEvent, report: Report, stand: Stand
    ) -> Changes | TaskFailure | Wait:
        namespace = event.namespace
        fields = {
            "execution": event.execution_id,
            "tenant": namespace.tenant_id,
            "package": namespace.package_name,
            "workflow": namespace.workflow_id,
            "task": namespace.task_id,
            "attempt": event.attempt,
        }

        def on_log(line: LogLine) -> None:
            report.said(event.token, line)
            if line.source is not LogSource.PROGRESS:
                _TASK_LOG.log(line.level, "%s", line.text, extra={**fields, "source": line.source})

        def on_ask(ask: Ask, answer: Callable[[Reply], None]) -> None:
            report.asked(event.token, ask, stand.following(ask, answer))

        request = RunRequest(
            token=event.token,
            workflow=namespace.workflow_id,
            task=namespace.task_id,
            attempt=event.attempt,
            execution_id=event.execution_id,
            texts=event.texts,
            element=event.element,
            memory=event.memory,
            on_ask=on_ask,
        )
        return worker.run(request, on_log)
