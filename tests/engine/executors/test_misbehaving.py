"""Executors that break the contract do no harm beyond their own attempts."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    ExecutionResult,
    ExecutorMetrics,
    Report,
    RoutingConfig,
    RoutingRule,
    Runtime,
    Tally,
    TaskReadyEvent,
    WorkflowBuilder,
    WorkflowResult,
    task,
)
from cloacina_sdk.changes import Changes
from cloacina_sdk.collect import collecting
from cloacina_sdk.executor import Checkpoint, Park, Reply
from cloacina_sdk.waiting import Wait
from engine.executors.gate import DEADLINE_S

DONE = Changes(assigned={"done": "true"}, removed=frozenset())
Start = Callable[[TaskReadyEvent, Report], None]


class Odd:
    """An executor whose ``start`` is whatever a test says."""

    capacity: int | None = None
    can_kill = True

    def __init__(self, start: Start) -> None:
        self._start = start
        self.cancelled: list[str] = []
        self.is_closed = threading.Event()

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        self._start(event, report)

    def cancel(self, token: str, *, is_kill: bool) -> None:
        self.cancelled.append(token)
        raise RuntimeError("it does not like to be told")

    def metrics(self) -> ExecutorMetrics:
        return Tally().metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        self.is_closed.set()
        raise RuntimeError("nor to be closed")


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        with WorkflowBuilder("odd"):

            @task(id="odd", retry_attempts=1)
            def odd(_context: Context) -> None: ...

        with WorkflowBuilder("plain"):

            @task(id="plain")
            def plain(context: Context) -> None:
                context["plain"] = True

        yield own


def a_runner(path: Path, runtime: Runtime, odd: Odd, *, timeout_s: float = 60) -> DefaultRunner:
    return DefaultRunner(
        path / "c.db",
        runtime=runtime,
        config=DefaultRunnerConfig(
            task_timeout_seconds=timeout_s, cancel_grace_seconds=0.05, shutdown_timeout_seconds=2
        ),
        executors={"odd": odd},
        routing=RoutingConfig(rules=[RoutingRule("*::odd", "odd")]),
    )


def run_both(path: Path, runtime: Runtime, odd: Odd, *, timeout_s: float = 60) -> WorkflowResult:
    """Run the odd workflow, and see that others go on after it."""
    with a_runner(path, runtime, odd, timeout_s=timeout_s) as runner:
        result = runner.execute("odd", timeout=DEADLINE_S)
        for _ in range(3):
            assert runner.execute("plain", timeout=DEADLINE_S).status == "Completed"
    assert odd.is_closed.is_set()
    return result


class SomethingElse(BaseException):
    """Not even an ``Exception``."""


@pytest.mark.parametrize("error", [ValueError("no room"), SomethingElse("no room")])
def test_one_that_raises_fails_the_attempt(
    runtime: Runtime, tmp_path: Path, error: BaseException
) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        raise error

    result = run_both(tmp_path, runtime, Odd(start))
    assert result.status == "Failed"
    assert "no room" in (result.error_message or "")


def test_one_that_reports_twice_is_believed_the_first_time(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        report.finished(ExecutionResult.succeeded(event.token, DONE))
        report.finished(ExecutionResult.of(event.token, Changes.from_json('{"set":{"x":1}}')))

    with caplog.at_level(logging.WARNING, "cloacina"):
        result = run_both(tmp_path, runtime, Odd(start))
    assert result.final_context.to_dict() == {"done": True}
    assert "does not run here" in caplog.text


def test_one_that_reports_and_then_raises_is_believed(runtime: Runtime, tmp_path: Path) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        report.finished(ExecutionResult.succeeded(event.token, DONE))
        raise ValueError("after all")

    assert run_both(tmp_path, runtime, Odd(start)).status == "Completed"


def test_one_that_reports_unknown_tokens_changes_nothing(runtime: Runtime, tmp_path: Path) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        report.finished(ExecutionResult.succeeded("f" * 32, DONE))
        report.finished(ExecutionResult.succeeded("", DONE))
        report.finished(ExecutionResult.succeeded(event.token, DONE))

    assert run_both(tmp_path, runtime, Odd(start)).final_context.to_dict() == {"done": True}


def test_one_that_never_reports_costs_its_slot_and_the_attempt_its_time(
    runtime: Runtime, tmp_path: Path
) -> None:
    odd = Odd(lambda event, report: None)
    result = run_both(tmp_path, runtime, odd, timeout_s=0.1)
    assert "TaskTimeout" in (result.error_message or "")
    assert odd.cancelled


def test_one_that_reports_after_the_attempt_was_given_up_is_not_believed(
    runtime: Runtime, tmp_path: Path
) -> None:
    begun: list[tuple[TaskReadyEvent, Report]] = []
    odd = Odd(lambda event, report: begun.append((event, report)))
    odd.capacity = 1
    with a_runner(tmp_path, runtime, odd, timeout_s=0.1) as runner:
        assert runner.execute("odd", timeout=DEADLINE_S).status == "Failed"
        waiting = runner.submit("odd")  # the place of the first is still taken
        assert runner.execute("plain", timeout=DEADLINE_S).status == "Completed"
        assert len(begun) == 1
        event, report = begun[0]
        report.finished(ExecutionResult.succeeded(event.token, DONE))
        assert waiting.wait(DEADLINE_S).status == "Failed"
    assert len(begun) == 2


@pytest.mark.parametrize("assigned", [{"done": "not json"}, {"done": "NaN"}, {"": "}"}])
def test_one_that_reports_what_cannot_be_read_fails_the_attempt(
    runtime: Runtime, tmp_path: Path, assigned: dict[str, str]
) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        changes = Changes(assigned=assigned, removed=frozenset())
        report.finished(ExecutionResult.succeeded(event.token, changes))

    assert run_both(tmp_path, runtime, Odd(start)).status == "Failed"


def test_one_that_reports_no_result_is_told_so(runtime: Runtime, tmp_path: Path) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        report.finished("done")  # type: ignore[arg-type]  # that is the point

    result = run_both(tmp_path, runtime, Odd(start))
    assert "takes an ExecutionResult, not str" in (result.error_message or "")


@pytest.mark.parametrize("ask", [None, "Park", Checkpoint(text="NaN"), Checkpoint(text="")])
def test_one_that_asks_for_what_cannot_be_granted_is_told_so(
    runtime: Runtime, tmp_path: Path, ask: Any
) -> None:
    def start(event: TaskReadyEvent, report: Report) -> None:
        report.asked(event.token, ask, lambda _reply: None)

    result = run_both(tmp_path, runtime, Odd(start))
    assert "report.asked() takes an Ask" in (result.error_message or "")


def test_one_that_asks_or_waits_for_a_task_without_a_handle_gets_nothing(
    runtime: Runtime, tmp_path: Path
) -> None:
    answers: list[Reply] = []

    def start(event: TaskReadyEvent, report: Report) -> None:
        report.asked(event.token, Park(), answers.append)
        report.finished(ExecutionResult.waiting(event.token, Wait.event("dawn")))

    result = run_both(tmp_path, runtime, Odd(start))
    assert answers == [Reply.LOST]
    assert "CannotWait: it ended to wait for the event 'dawn'" in (result.error_message or "")


def test_one_that_blocks_holds_up_nobody_else(runtime: Runtime, tmp_path: Path) -> None:
    release = threading.Event()

    def start(event: TaskReadyEvent, report: Report) -> None:
        assert release.wait(DEADLINE_S)
        report.finished(ExecutionResult.succeeded(event.token, DONE))

    odd = Odd(start)
    with a_runner(tmp_path, runtime, odd) as runner:
        first, second = runner.submit("odd"), runner.submit("odd")
        assert runner.execute("plain", timeout=DEADLINE_S).status == "Completed"
        second.cancel()  # it waits behind the first, and never begins
        assert second.wait(DEADLINE_S).status == "Cancelled"
        release.set()
        assert first.wait(DEADLINE_S).status == "Completed"


def test_a_runner_leaves_behind_what_blocks_for_ever(runtime: Runtime, tmp_path: Path) -> None:
    release, begun = threading.Event(), threading.Event()

    def start(event: TaskReadyEvent, report: Report) -> None:
        begun.set()
        assert release.wait(DEADLINE_S)

    runner = a_runner(tmp_path, runtime, Odd(start))
    runner.submit("odd")
    assert begun.wait(DEADLINE_S)
    runner.shutdown()
    release.set()
