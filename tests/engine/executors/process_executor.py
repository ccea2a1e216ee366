"""An executor as an outsider would write it: each attempt in a process of its own.

Nothing but the contract's JSON texts passes between the processes.
"""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from cloacina import ExecutionResult, ExecutorMetrics, Report, Tally, TaskReadyEvent
from cloacina_sdk.asking import read_ask
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import CloacinaError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.log_line import progress_line
from cloacina_sdk.outcome import TaskFailure

_TESTS = Path(__file__).parents[2]


class ProcessExecutor:
    """Runs importable bodies in new processes."""

    can_kill = True

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self._tally = Tally()
        self._lock = threading.Lock()
        self._telling = threading.Lock()
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
        elif process is not None:
            self._tell(process, "cancel")

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
        answer = ""
        with process:
            self._tell(process, event.to_json())
            assert process.stdout is not None
            for line in process.stdout:
                answer = self._hear(json.loads(line), event.token, process, report)
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

    def _hear(
        self,
        message: "dict[str, JsonValue]",
        token: str,
        process: "subprocess.Popen[str]",
        report: Report,
    ) -> str:
        """Take one message; return the result if it is one."""
        match message:
            case {"result": str(result)}:
                return result
            case {"progress": float(progress)}:
                report.said(token, progress_line(progress))
            case _:
                ask = read_ask(Fields(message, "$", []))
                report.asked(token, ask, lambda reply: self._tell(process, reply.value))
        return ""

    def _tell(self, process: "subprocess.Popen[str]", line: str) -> None:
        assert process.stdin is not None
        with self._telling, suppress(OSError, ValueError):  # it has ended
            process.stdin.write(line + "\n")
            process.stdin.flush()
