"""What the engine asks of an executor, whoever wrote it.

An executor runs attempts: it takes each as a `TaskReadyEvent`, runs the body wherever it likes, and
tells its end as an `ExecutionResult` under the attempt's token. The engine decides everything else:
what runs when, what a failure means, and which results count.

An attempt that comes with a `Memory` is of a task that takes a handle. Its body may end the run to
wait (`ExecutionResult.waiting`), and may ask the engine for something while it runs (`Ask`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cloacina_sdk.asking import Ask, Checkpoint, Park, Reply, Unpark, ask_document, read_ask
from cloacina_sdk.attempt import ExecutionResult, ResultStatus, TaskReadyEvent
from cloacina_sdk.log_line import LogLine

__all__ = [
    "Ask",
    "Checkpoint",
    "ExecutorMetrics",
    "Park",
    "Reply",
    "Report",
    "Tally",
    "TaskExecutor",
    "Unpark",
    "ask_document",
    "read_ask",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorMetrics:
    """What an executor did since it was made.

    Attributes:
        active: attempts that were started and have not ended.
        capacity: how many may be active at once; None for no limit of its own.
        total_started: attempts, the active ones included.
        total_succeeded: attempts whose body returned.
        total_failed: attempts that failed, were cancelled or never began.
        total_duration_s: seconds that ended attempts took together.
        total_deferred: attempts whose body ended its run to wait.
    """

    active: int
    capacity: int | None
    total_started: int
    total_succeeded: int
    total_failed: int
    total_duration_s: float
    total_deferred: int = 0

    @property
    def average_duration_s(self) -> float | None:
        """Seconds that an ended attempt took on average; None before the first has ended."""
        ended = self.total_succeeded + self.total_failed + self.total_deferred
        return self.total_duration_s / ended if ended else None


class Report(Protocol):
    """Takes what an executor has to tell. Safe to call from any thread; never blocks."""

    def finished(self, result: ExecutionResult) -> None:
        """Take the end of an attempt.

        What is told twice, after the attempt was given up, or under a token that is not running
        here, is logged and changes nothing.

        Raises:
            TypeError: if it is not an `ExecutionResult`.
        """
        ...

    def said(self, token: str, line: LogLine) -> None:
        """Take a line that an attempt printed or logged, to be kept with it.

        Of one attempt a limited number is kept. What is said after its end is dropped.

        Raises:
            TypeError: if it is not a `LogLine`.
        """
        ...

    def asked(self, token: str, ask: Ask, answer: Callable[[Reply], None]) -> None:
        """Take what the body of an attempt asks for.

        `answer` is called once, on any thread, and has to return quickly: when what was asked for
        is done, or as soon as the attempt is lost. Before that an attempt asks for nothing else.

        Raises:
            TypeError: if it is not an `Ask`.
        """
        ...


class TaskExecutor(Protocol):
    """Runs attempts. Every method is safe to call from any thread, and none waits for a body."""

    @property
    def capacity(self) -> int | None:
        """How many attempts it takes at once; None for as many as the runner has slots.

        Read once, when the runner starts. What is beyond it waits in the runner's queue, where
        the tasks of other executors go past it.
        """
        ...

    @property
    def can_kill(self) -> bool:
        """Whether `cancel(token, is_kill=True)` ends any body, however deaf it is."""
        ...

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Begin an attempt, and call `report.finished` once its body has ended, whatever happened.

        What this raises is the attempt's failure.
        """
        ...

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Make the attempt with this token end soon; nothing, if it is not here any more.

        Asked first, with `is_kill` false, an attempt may end in its own way. With `is_kill` it is
        ended by force where that is possible. Either way its end is reported when it comes: the
        attempt keeps its slot until then.
        """
        ...

    def metrics(self) -> ExecutorMetrics:
        """Return what it did so far."""
        ...

    def close(self, timeout_s: float) -> None:
        """Stop, waiting at most `timeout_s` for bodies that run. Called once, at the end."""
        ...


class Tally:
    """Counts an executor's attempts. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_at_s: dict[str, float] = {}
        self._started = self._succeeded = self._failed = self._deferred = 0
        self._duration_s = 0.0

    def begin(self, token: str) -> None:
        """Count an attempt that starts."""
        with self._lock:
            self._started += 1
            self._began_at_s[token] = time.monotonic()

    def end(self, result: ExecutionResult) -> bool:
        """Count the end of an attempt; return whether it was still active."""
        with self._lock:
            began_at_s = self._began_at_s.pop(result.token, None)
            if began_at_s is None:
                return False
            self._duration_s += time.monotonic() - began_at_s
            match result.status:
                case ResultStatus.SUCCEEDED:
                    self._succeeded += 1
                case ResultStatus.FAILED:
                    self._failed += 1
                case ResultStatus.DEFERRED:
                    self._deferred += 1
            return True

    def metrics(self, capacity: int | None) -> ExecutorMetrics:
        """Return the counts of an executor of this capacity."""
        with self._lock:
            return ExecutorMetrics(
                active=len(self._began_at_s),
                capacity=capacity,
                total_started=self._started,
                total_succeeded=self._succeeded,
                total_failed=self._failed,
                total_duration_s=self._duration_s,
                total_deferred=self._deferred,
            )
