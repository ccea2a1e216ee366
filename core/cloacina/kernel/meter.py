"""Count what a runner does, from what it commits: a change is counted once it is durable."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina_sdk.executor import ExecutorMetrics
from cloacina_sdk.metrics import MetricKind, Sample

DURATIONS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_ENDS: Final = {
    "execution_completed": "Completed",
    "execution_failed": "Failed",
    "execution_cancelled": "Cancelled",
}


class Histogram:
    """How often values fell under each of some bounds."""

    def __init__(self, family: str, help: str, bounds: tuple[float, ...]) -> None:
        """Begin without any."""
        self._family = family
        self._help = help
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each bound, then the sum and the count."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            label = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield self._sample("_bucket", total, {"le": label})
        yield self._sample("_sum", self._sum)
        yield self._sample("_count", total)

    def _sample(self, end: str, value: float, labels: Mapping[str, str] | None = None) -> Sample:
        return Sample(
            family=self._family,
            kind=MetricKind.HISTOGRAM,
            help=self._help,
            name=self._family + end,
            value=value,
            labels=labels or {},
        )


class Meter:
    """What one runner did. The kernel's thread writes; any thread may read."""

    def __init__(self, stopwatch_s: Callable[[], float] = time.perf_counter) -> None:
        """Begin at nothing; ``stopwatch_s`` times commits."""
        self._stopwatch_s = stopwatch_s
        self._lock = threading.Lock()
        self._submitted = self._claimed = self._retries = 0
        self._ends: Counter[str] = Counter(dict.fromkeys(_ENDS.values(), 0))
        self._outcomes: Counter[str] = Counter()
        self._in_flight = self._waiting = self._taken = self._free = 0
        self._commit_durations = Histogram(
            "cloacina_commit_duration_seconds", "How long group commits took.", DURATIONS_S
        )
        self._commit_sizes = Histogram(
            "cloacina_commit_executions", "How many executions a group commit wrote.", SIZES
        )

    def saved(self, execution: ExecutionState) -> None:
        """Count what was just committed of an execution and is not marked as saved yet."""
        unsaved = execution.unsaved
        with self._lock:
            for end in unsaved.ends:
                self._outcomes[end.outcome.value] += 1
            for line in unsaved.history:
                self._retries += line.kind == "task_retrying"
                self._submitted += line.kind == "execution_submitted"
                self._claimed += line.kind == "execution_claimed"
                if line.kind in _ENDS:
                    self._ends[_ENDS[line.kind]] += 1

    @contextmanager
    def commit_of(self, executions: int) -> Iterator[None]:
        """Count and time a group commit, unless it fails."""
        begun_s = self._stopwatch_s()
        yield
        duration_s = self._stopwatch_s() - begun_s
        with self._lock:
            self._commit_sizes.observe(executions)
            self._commit_durations.observe(duration_s)

    def look(self, planner: Planner) -> None:
        """Take note of how the planner stands, after a turn."""
        slots = planner.slots.slots
        with self._lock:
            self._in_flight = planner.in_flight
            self._waiting, self._taken, self._free = slots.waiting, slots.taken, slots.free

    def samples(self, executors: Mapping[str, ExecutorMetrics]) -> list[Sample]:
        """Return everything, with what the executors count themselves."""
        with self._lock:
            found = [*self._counters(), *self._gauges()]
            found += [*self._commit_durations.samples(), *self._commit_sizes.samples()]
        return found + list(_of_executors(executors))

    def _counters(self) -> Iterator[Sample]:
        counted = "Executions that this runner {}."
        yield _count("cloacina_executions_submitted_total", counted.format("took"), self._submitted)
        yield _count(
            "cloacina_executions_claimed_total", counted.format("took over"), self._claimed
        )
        for status, count in self._ends.items():
            family = "cloacina_executions_total"
            yield _count(family, counted.format("ended"), count, status=status)
        for outcome, count in sorted(self._outcomes.items()):
            family = "cloacina_task_attempts_total"
            yield _count(family, "Attempts that ended.", count, outcome=outcome)
        what = "Failed attempts that another one followed."
        yield _count("cloacina_task_retries_total", what, self._retries)

    def _gauges(self) -> Iterator[Sample]:
        what = "Executions that this runner has and that have not ended."
        yield _gauge("cloacina_executions_in_flight", what, self._in_flight)
        yield _gauge("cloacina_queue_depth", "Tasks that wait for a slot.", self._waiting)
        for state, count in (("free", self._free), ("taken", self._taken)):
            yield _gauge("cloacina_slots", "Slots of this runner.", count, state=state)


def _of_executors(executors: Mapping[str, ExecutorMetrics]) -> Iterator[Sample]:
    """Yield family by family, for every executor."""
    for name, each in executors.items():
        what = "Attempts that run at an executor."
        yield _gauge("cloacina_executor_active", what, each.active, executor=name)
    for name, each in executors.items():
        if each.capacity is not None:
            what = "How many attempts an executor takes at once."
            yield _gauge("cloacina_executor_capacity", what, each.capacity, executor=name)
    for name, each in executors.items():
        family = "cloacina_executor_attempts_total"
        what = "Attempts that ended at an executor, by its own account."
        ended = {
            "Succeeded": each.total_succeeded,
            "Failed": each.total_failed,
            "Deferred": each.total_deferred,
        }
        for outcome, count in ended.items():
            yield _count(family, what, count, executor=name, outcome=outcome)
    for name, each in executors.items():
        family, what = "cloacina_executor_seconds_total", "How long those attempts took together."
        yield _count(family, what, each.total_duration_s, executor=name)


def _count(family: str, help: str, value: float, **labels: str) -> Sample:
    return _plain(family, MetricKind.COUNTER, help, value, labels)


def _gauge(family: str, help: str, value: float, **labels: str) -> Sample:
    return _plain(family, MetricKind.GAUGE, help, value, labels)


def _plain(
    family: str, kind: MetricKind, help: str, value: float, labels: Mapping[str, str]
) -> Sample:
    return Sample(
        family=family, kind=kind, help=help, name=family, value=value, labels=dict(labels)
    )
