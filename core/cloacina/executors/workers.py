"""Run the tasks of packages in worker processes, one attempt at a time in each.

Each package digest has its own processes, started when attempts need them. A worker that dies
costs one attempt; the next attempt gets a new worker.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

from cloacina.errors import PackageNotLoadedError
from cloacina.executors.contract import Attempt, Report, Result
from cloacina_native.log_lines import LogLine
from cloacina_native.worker_process import RunRequest, WorkerProcess
from cloacina_sdk.outcome import TaskFailure, failure_of

StartWorker = Callable[[], WorkerProcess]
"""Starts a process that has loaded the package, or raises."""

_NOT_BEGUN = TaskFailure(
    error_type="Cancelled",
    message="it was stopped before its worker was free",
    traceback="",
    is_transient=False,
)
_TASK_LOG = logging.getLogger("cloacina.task")


class WorkerExecutor:
    """Worker processes by package digest."""

    def __init__(self) -> None:
        self._pools: dict[str, _Pool] = {}

    def serve(
        self, digest: str, start_worker: StartWorker, *, max_workers: int, warm: WorkerProcess
    ) -> None:
        """Run attempts of package ``digest`` from now on, on ``warm`` first."""
        self._pools[digest] = _Pool(digest, start_worker, max_workers, warm)

    def dismiss(self, digest: str, timeout_s: float) -> None:
        """End the workers of a package; attempts that run have ``timeout_s`` to end."""
        pool = self._pools.pop(digest, None)
        if pool is not None:
            pool.close(timeout_s)

    def start(self, attempt: Attempt, report: Report) -> None:
        """Begin ``attempt`` on a worker of its package.

        Raises:
            PackageNotLoadedError: if its digest is not served here.
        """
        pool = self._pools.get(attempt.package_digest or "")
        if pool is None:
            raise PackageNotLoadedError(attempt.package_digest)
        pool.put(attempt, report)

    def stop(self, token: str, *, is_kill: bool) -> None:
        """Kill the worker that runs the attempt; one that is only asked may go on until then."""
        if is_kill:
            for pool in list(self._pools.values()):
                pool.kill(token)

    def close(self, timeout_s: float) -> None:
        """End every worker."""
        deadline = time.monotonic() + timeout_s
        for digest in list(self._pools):
            self.dismiss(digest, max(0.0, deadline - time.monotonic()))


class _Pool:
    """The workers of one digest, each driven by a thread that starts it again when it is gone."""

    def __init__(
        self, digest: str, start_worker: StartWorker, max_workers: int, warm: WorkerProcess
    ) -> None:
        self._digest = digest
        self._start_worker = start_worker
        self._max_workers = max_workers
        self._spare: list[WorkerProcess] = [warm]
        self._work: queue.SimpleQueue[tuple[Attempt, Report] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._in_use: set[WorkerProcess] = set()
        self._running: dict[str, WorkerProcess] = {}
        self._queued: set[str] = set()
        self._killed: set[str] = set()
        self._is_closing = False

    def put(self, attempt: Attempt, report: Report) -> None:
        with self._lock:
            if self._waiting:
                self._waiting -= 1
            elif len(self._threads) < self._max_workers:
                name = f"cloacina-worker-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._drive, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._queued.add(attempt.token)
        self._work.put((attempt, report))

    def kill(self, token: str) -> None:
        with self._lock:
            worker = self._running.get(token)
            if worker is None and token in self._queued:
                self._killed.add(token)  # it is still in the queue: it must not begin
        if worker is not None:
            worker.interrupt()

    def close(self, timeout_s: float) -> None:
        """Let attempts that run end within ``timeout_s``; those in the queue do not begin."""
        self._is_closing = True
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            late = list(self._in_use)
        for worker in late:
            worker.interrupt()
        for thread in self._threads:
            thread.join()
        for worker in self._spare:
            worker.close(0)

    def _drive(self) -> None:
        worker: WorkerProcess | None = None
        while (work := self._work.get()) is not None:
            attempt, report = work
            try:
                worker = worker if self._is_closing else self._usable(worker)
                result = _NOT_BEGUN if worker is None else self._attempt(worker, attempt)
            except Exception as error:  # noqa: BLE001 - whatever a package does ends its own attempt only
                result = failure_of(error)
            with self._lock:
                self._waiting += 1
                self._queued.discard(attempt.token)
                self._running.pop(attempt.token, None)
            report(result)
        if worker is not None:
            with self._lock:
                self._in_use.discard(worker)
            worker.close(1.0)

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

    def _attempt(self, worker: WorkerProcess, attempt: Attempt) -> Result:
        with self._lock:
            self._queued.discard(attempt.token)
            if self._is_closing or attempt.token in self._killed:
                self._killed.discard(attempt.token)
                return _NOT_BEGUN
            self._running[attempt.token] = worker
        return self._run(worker, attempt)

    @staticmethod
    def _run(worker: WorkerProcess, attempt: Attempt) -> Result:
        namespace = attempt.namespace
        fields = {
            "execution_id": attempt.execution_id,
            "tenant": namespace.tenant_id,
            "package": namespace.package_name,
            "workflow": namespace.workflow_id,
            "task": namespace.task_id,
            "attempt": attempt.number,
        }

        def on_log(line: LogLine) -> None:
            _TASK_LOG.log(line.level, "%s", line.text, extra={**fields, "source": line.source})

        request = RunRequest(
            token=attempt.token,
            workflow=namespace.workflow_id,
            task=namespace.task_id,
            attempt=attempt.number,
            execution_id=attempt.execution_id,
            texts=attempt.texts,
            element=attempt.element,
        )
        return worker.run(request, on_log)
