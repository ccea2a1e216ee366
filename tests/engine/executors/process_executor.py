"""An executor as an outsider would write it: each attempt in a process of its own.

Nothing but the contract's two JSON texts passes between the processes.
"""

import subprocess
import sys
import threading
from pathlib import Path

from cloacina import ExecutionResult, ExecutorMetrics, Report, Tally, TaskReadyEvent
from cloacina_sdk.errors import CloacinaError
from cloacina_sdk.outcome import TaskFailure

_TESTS = Path(__file__).parents[2]


class ProcessExecutor:
    """Runs importable bodies in new processes."""

    can_kill = True

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self._tally = Tally()
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []
        self.events: list[TaskReadyEvent] = []

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        if event.import_path is None:
            raise LookupError(f"{event.namespace} has no body that another process can import")
        command = [sys.executable, "-m", "engine.executors.remote"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_TESTS
        )
        self._tally.begin(event.token)
        with self._lock:
            self.events.append(event)
            self._processes[event.token] = process
            thread = threading.Thread(target=self._attend, args=(event, process, report))
            self._threads.append(thread)
        thread.start()

    def cancel(self, token: str, *, is_kill: bool) -> None:
        with self._lock:
            process = self._processes.get(token)
        if process is not None and is_kill:
            process.kill()

    def metrics(self) -> ExecutorMetrics:
        return self._tally.metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        for thread in self._threads:
            thread.join(timeout_s / max(1, len(self._threads)))
        with self._lock:
            left = list(self._processes.values())
        for process in left:
            process.kill()
        for thread in self._threads:
            thread.join()

    def _attend(
        self, event: TaskReadyEvent, process: "subprocess.Popen[str]", report: Report
    ) -> None:
        with process:
            answer, _ = process.communicate(event.to_json())
        with self._lock:
            del self._processes[event.token]
        try:
            result = ExecutionResult.from_json(answer)
        except CloacinaError:
            died = TaskFailure(
                error_type="ProcessDied",
                message=f"it ended with status {process.returncode}",
                traceback="",
                is_transient=True,
            )
            result = ExecutionResult.failed(event.token, died)
        self._tally.end(result)
        report.finished(result)
