"""What a runner counts, and how it is exported."""

import io
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    MetricKind,
    RetryPolicy,
    Runtime,
    Sample,
    WorkflowBuilder,
    init_logging,
    task,
    to_prometheus_text,
)
from cloacina.errors import InvalidConfigError, RunnerClosedError
from cloacina.kernel.meter import Histogram
from cloacina_sdk.collect import collecting
from cloacina_sdk.hooks import hookimpl
from engine.databases import Where

DEADLINE_S = 30
TWICE = RetryPolicy.builder().max_attempts(2).initial_delay(0.001).with_jitter(False).build()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        with WorkflowBuilder("good"):

            @task(id="good")
            def good(_context: Context) -> None: ...

        with WorkflowBuilder("bad"):

            @task(id="bad", retry=TWICE)
            def bad(_context: Context) -> None:
                raise ValueError("no")

        yield own


def value(samples: Sequence[Sample], name: str, **labels: str) -> float:
    (found,) = [each.value for each in samples if (each.name, each.labels) == (name, labels)]
    return found


def test_a_runner_counts_what_it_commits(runtime: Runtime, where: Where) -> None:
    with DefaultRunner(where.url, runtime=runtime) as runner:
        empty = runner.metrics()
        for workflow in ("good", "good", "bad"):
            runner.execute(workflow, timeout=DEADLINE_S)
        samples = runner.metrics()
    assert value(empty, "cloacina_executions_total", status="Completed") == 0
    assert value(samples, "cloacina_executions_submitted_total") == 3
    assert value(samples, "cloacina_executions_total", status="Completed") == 2
    assert value(samples, "cloacina_executions_total", status="Failed") == 1
    assert value(samples, "cloacina_task_attempts_total", outcome="Succeeded") == 2
    assert value(samples, "cloacina_task_attempts_total", outcome="Failed") == 2
    assert value(samples, "cloacina_task_retries_total") == 1
    attempts = "cloacina_executor_attempts_total"
    assert value(samples, attempts, executor="thread", outcome="Succeeded") == 2
    assert value(samples, "cloacina_commit_duration_seconds_count") >= 6
    count = value(samples, "cloacina_commit_executions_count")
    assert value(samples, "cloacina_commit_executions_bucket", le="+Inf") == count
    with pytest.raises(RunnerClosedError):
        runner.metrics()


def test_slots_and_the_queue_for_them_are_shown(runtime: Runtime, tmp_path: Path) -> None:
    began, release = threading.Semaphore(0), threading.Event()
    with WorkflowBuilder("waits"):

        @task(id="waits")
        def waits(_context: Context) -> None:
            began.release()
            assert release.wait(DEADLINE_S)

    config = DefaultRunnerConfig(max_concurrent_tasks=2)
    with DefaultRunner(tmp_path / "c.db", runtime=runtime, config=config) as runner:
        handles = [runner.submit("waits") for _ in range(5)]
        for _ in range(2):
            assert began.acquire(timeout=DEADLINE_S)
        samples = runner.metrics()
        assert value(samples, "cloacina_slots", state="taken") == 2
        assert value(samples, "cloacina_slots", state="free") == 0
        assert value(samples, "cloacina_queue_depth") == 3
        assert value(samples, "cloacina_executions_in_flight") == 5
        assert value(samples, "cloacina_executor_active", executor="thread") == 2
        release.set()
        for handle in handles:
            handle.wait(DEADLINE_S)


def test_labels_never_hold_ids(runtime: Runtime, tmp_path: Path) -> None:
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        ids = [runner.execute("good", timeout=DEADLINE_S).execution_id for _ in range(3)]
        once = len(runner.metrics())
        ids += [runner.execute("good", timeout=DEADLINE_S).execution_id for _ in range(3)]
        text = to_prometheus_text(runner.metrics())
        assert len(runner.metrics()) == once
    assert not any(each in text for each in ids)


class Exporter:
    """A plugin that takes metrics elsewhere."""

    def __init__(self) -> None:
        self.read: list[Callable[[], Sequence[Sample]]] = []

    @hookimpl
    def cloacina_metrics_ready(self, read: Callable[[], Sequence[Sample]]) -> None:
        self.read.append(read)


def test_an_exporter_is_handed_the_metrics_once(runtime: Runtime, tmp_path: Path) -> None:
    early, late = Exporter(), Exporter()
    with DefaultRunner(tmp_path / "c.db", runtime=runtime, plugins=[early]) as runner:
        runner.add_plugin(late)
        runner.execute("good", timeout=DEADLINE_S)
        for exporter in (early, late):
            (read,) = exporter.read
            assert value(read(), "cloacina_executions_total", status="Completed") == 1


def test_an_exporter_that_fails_stops_nothing(runtime: Runtime, tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def cloacina_metrics_ready(self) -> None:
            raise RuntimeError("no")

    with DefaultRunner(tmp_path / "c.db", runtime=runtime, plugins=[Broken()]) as runner:
        assert runner.execute("good", timeout=DEADLINE_S).status == "Completed"


def test_a_histogram_counts_each_value_under_all_bounds_above_it() -> None:
    histogram = Histogram("h", "Help.", (1, 2))
    for observed in (0.5, 1, 1.5, 7):
        histogram.observe(observed)
    assert [(each.name, dict(each.labels), each.value) for each in histogram.samples()] == [
        ("h_bucket", {"le": "1"}, 2),
        ("h_bucket", {"le": "2"}, 3),
        ("h_bucket", {"le": "+Inf"}, 4),
        ("h_sum", {}, 10),
        ("h_count", {}, 4),
    ]


def test_the_text_for_prometheus_keeps_families_together_and_escapes() -> None:
    def a_sample(family: str, number: float, **labels: str) -> Sample:
        return Sample(
            family=family,
            kind=MetricKind.GAUGE,
            help="A \\ and\na line.",
            name=family,
            value=number,
            labels=labels,
        )

    samples = [
        a_sample("a", 1, l='say "x"\n\\'),
        a_sample("b", 0.25),
        a_sample("a", float("inf")),
    ]
    assert to_prometheus_text(samples) == (
        "# HELP a A \\\\ and\\na line.\n# TYPE a gauge\n"
        'a{l="say \\"x\\"\\n\\\\"} 1\na +Inf\n'
        "# HELP b A \\\\ and\\na line.\n# TYPE b gauge\nb 0.25\n"
    )
    assert to_prometheus_text([]) == ""


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_script_sees_what_the_engine_does_and_where(
    runtime: Runtime, tmp_path: Path, stream: io.StringIO
) -> None:
    init_logging("warning", stream=stream)
    init_logging(logging.INFO, stream=stream)
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        execution_id = runner.execute("bad", timeout=DEADLINE_S).execution_id
    lines = [line for line in stream.getvalue().splitlines() if "cloacina.engine" in line]
    assert len(lines) == 3  # each once, though logging was set up twice
    assert (
        f"[public::embedded::bad::bad#1 {execution_id}]: attempt 1 of task 'bad' failed" in lines[0]
    )
    assert "ValueError; the next one follows in 0.001 s" in lines[0]
    assert f"[public::embedded::bad {execution_id}]: execution" in lines[2]


@pytest.mark.parametrize("level", ["loud", -1, True, None])
def test_a_level_that_does_not_exist_is_refused(level: object) -> None:
    with pytest.raises(InvalidConfigError, match="one of"):
        init_logging(level)  # type: ignore[arg-type]  # not all of them are levels


def test_records_of_the_engine_say_what_they_are_about(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG, "cloacina.engine"),
        DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner,
    ):
        execution_id = runner.execute("good", timeout=DEADLINE_S).execution_id
    starts, succeeds, ends = [each for each in caplog.records if each.name == "cloacina.engine"]
    for record in (starts, succeeds):
        fields = {name: getattr(record, name) for name in ("execution", "task", "attempt")}
        assert fields == {"execution": execution_id, "task": "good", "attempt": 1}
    assert (ends.__dict__["tenant"], ends.__dict__["package"]) == ("public", "embedded")
