"""Running again what failed or was cancelled."""

import threading

import pytest

from cloacina import (
    Answer,
    Context,
    DefaultRunner,
    ExecutionHandle,
    Runtime,
    WorkflowBuilder,
    all_of,
    task,
    task_failed,
)
from cloacina.errors import ExecutionNotFoundError, ExecutionNotRetryableError
from cloacina.model.states import (
    EXECUTION_MOVES,
    EXECUTION_RETRY_MOVES,
    TASK_MOVES,
    TASK_RETRY_MOVES,
    ExecutionStatus,
    TaskStatus,
)
from engine.databases import HASTY, Where
from engine.gate import Gate

DEADLINE_S = 30


class Bench:
    """A workflow ``w``: ``good`` before ``bad`` before ``after``, and ``aside`` on its own."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.is_mended = False
        with WorkflowBuilder("w"):

            @task
            def good(context: Context) -> None:
                self.ran.append("good")
                context["good"] = len(self.ran)

            @task
            def aside(context: Context) -> None:
                self.ran.append("aside")
                context["aside"] = True

            @task(dependencies=["good"], retry_attempts=2, retry_delay_ms=1)
            def bad(context: Context) -> None:
                self.ran.append("bad")
                if not self.is_mended:
                    raise ValueError("broken")
                context["bad"] = context["good"]

            @task(dependencies=["bad"])
            def after(context: Context) -> None:
                self.ran.append("after")
                context["after"] = context["bad"]

            @task(dependencies=["bad"], trigger_rules=all_of(task_failed("bad")))
            def alarm(_context: Context) -> None:
                self.ran.append("alarm")
                raise ValueError("nobody hears it")


def failed(runner: DefaultRunner) -> ExecutionHandle:
    handle = runner.submit("w")
    assert handle.wait(DEADLINE_S).status == "Failed"
    return handle


def test_only_what_failed_and_what_depends_on_it_runs_again(
    runner: DefaultRunner, where: Where
) -> None:
    bench = Bench()
    handle = failed(runner)
    first = list(bench.ran)
    assert sorted(set(first)) == ["alarm", "aside", "bad", "good"]
    bench.ran.clear()
    bench.is_mended = True
    handle.retry()
    result = handle.wait(DEADLINE_S)
    assert (result.status, result.error_message) == ("Completed", None)
    assert bench.ran == ["bad", "after"]
    kept = first.index("good") + 1
    assert result.final_context.to_dict() == {
        "good": kept,
        "aside": True,
        "bad": kept,
        "after": kept,
    }
    attempts = {name: each.attempts for name, each in result.tasks.items()}
    assert attempts == {"good": 1, "aside": 1, "bad": 3, "after": 1, "alarm": 3}
    assert result.tasks["alarm"].status == "Skipped"
    assert where.query("SELECT number, outcome FROM task_attempts ORDER BY number DESC LIMIT 1")
    history = where.query("SELECT kind, detail FROM execution_events ORDER BY seq")
    assert ("execution_retried", "what failed and what depends on it: 3 tasks") in history
    assert [kind for kind, _ in history].count("task_reset") == 3
    assert [kind for kind, _ in history].count("execution_failed") == 1
    assert where.query("SELECT failures, losses FROM task_executions WHERE task = 'bad'") == [
        (0, 0)
    ]


def test_a_retry_has_all_attempts_of_its_policy_again(runner: DefaultRunner) -> None:
    bench = Bench()
    handle = failed(runner)
    bench.ran.clear()
    again = runner.retry_execution(handle.id)
    assert again.wait(DEADLINE_S).status == "Failed"
    assert bench.ran.count("bad") == 2
    assert again.wait(DEADLINE_S).tasks["bad"].attempts == 4
    assert "good" not in bench.ran


def test_everything_runs_again_if_that_is_wanted(runner: DefaultRunner) -> None:
    bench = Bench()
    handle = failed(runner)
    bench.ran.clear()
    bench.is_mended = True
    handle.retry(from_failed=False)
    assert handle.wait(DEADLINE_S).status == "Completed"
    assert sorted(bench.ran) == ["after", "aside", "bad", "good"]


def test_a_cancelled_execution_runs_on_and_keeps_its_outputs(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    began, release, ran = threading.Event(), threading.Event(), []
    with WorkflowBuilder("two"):

        @task
        def one(context: Context) -> None:
            began.set()
            assert release.wait(DEADLINE_S)
            ran.append("one")
            context["one"] = True

        @task(dependencies=[one])
        def two(context: Context) -> None:
            ran.append("two")
            context["two"] = context["one"]

    handle = runner.submit("two")
    assert began.wait(DEADLINE_S)
    assert handle.cancel() is Answer.GRANTED
    release.set()
    assert handle.wait(DEADLINE_S).status == "Cancelled"
    handle.retry()
    assert handle.wait(DEADLINE_S).final_context.to_dict() == {"one": True, "two": True}
    assert ran == ["one", "two"]


def test_what_was_cancelled_after_its_last_task_completes_without_running_anything(
    runner: DefaultRunner,
) -> None:
    began, release, ran = threading.Event(), threading.Event(), []
    with WorkflowBuilder("one"):

        @task
        def one(_context: Context) -> None:
            began.set()
            assert release.wait(DEADLINE_S)
            ran.append("one")

    handle = runner.submit("one")
    assert began.wait(DEADLINE_S)
    assert handle.cancel() is Answer.GRANTED
    release.set()
    assert handle.wait(DEADLINE_S).status == "Cancelled"
    handle.retry()
    assert handle.wait(DEADLINE_S).status == "Completed"
    assert ran == ["one"]


def test_a_workflow_that_ran_out_of_time_has_all_of_it_again(runner: DefaultRunner) -> None:
    release = threading.Event()
    with WorkflowBuilder("slow").timeout("500ms"):

        @task
        def slow(_context: Context) -> None:
            assert release.wait(DEADLINE_S)

    handle = runner.submit("slow")
    assert runner.handle(handle.id).wait(DEADLINE_S).status == "Failed"
    release.set()
    handle.retry()
    result = handle.wait(DEADLINE_S)
    assert (result.status, result.error_message) == ("Completed", None)


def test_an_execution_that_runs_or_completed_is_not_retried(runner: DefaultRunner) -> None:
    bench = Bench()
    bench.is_mended = True
    completed = runner.execute("w", timeout=DEADLINE_S)
    with pytest.raises(
        ExecutionNotRetryableError, match=r"is Completed.*submit the workflow again"
    ):
        runner.retry_execution(completed.execution_id)
    with pytest.raises(ExecutionNotRetryableError, match="is Completed"):
        runner.retry_execution(completed.execution_id, from_failed=False)
    gate = Gate()
    with WorkflowBuilder("waits"):

        @task
        def waits(_context: Context) -> None:
            gate.pass_through()

    handle = runner.submit("waits")
    gate.await_body()
    with pytest.raises(ExecutionNotRetryableError, match=r"is Running.*wait for its end"):
        handle.retry()
    gate.open()
    assert handle.wait(DEADLINE_S).status == "Completed"
    with pytest.raises(ExecutionNotFoundError):
        runner.retry_execution("no such execution")


def test_of_many_who_retry_at_once_one_wins(
    runner: DefaultRunner, runtime: Runtime, where: Where
) -> None:
    bench = Bench()
    handle = failed(runner)
    bench.is_mended = True
    start = threading.Barrier(4)
    outcomes: list[str] = []

    def retry() -> None:
        with DefaultRunner(where.url, runtime=runtime, config=HASTY) as mine:
            start.wait(DEADLINE_S)
            try:
                again = mine.retry_execution(handle.id)
            except ExecutionNotRetryableError:
                outcomes.append("refused")
            else:
                outcomes.append(again.wait(DEADLINE_S).status)

    threads = [threading.Thread(target=retry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Completed", "refused", "refused", "refused"]


def test_a_retry_by_a_runner_that_does_not_know_the_workflow_waits_for_one_that_does(
    runtime: Runtime, where: Where
) -> None:
    bench = Bench()
    with DefaultRunner(where.url, runtime=runtime) as first:
        execution_id = failed(first).id
    bench.is_mended = True
    with DefaultRunner(where.url, runtime=Runtime(), config=HASTY) as stranger:
        again = stranger.retry_execution(execution_id)
        assert again.status == "Running"
        with DefaultRunner(where.url, runtime=runtime):
            assert again.wait(DEADLINE_S).status == "Completed"


def test_the_result_of_an_attempt_from_before_the_retry_is_discarded(
    runner: DefaultRunner,
) -> None:
    began, stale, ran = threading.Event(), threading.Event(), []
    with WorkflowBuilder("deaf").timeout("300ms"):

        @task(retry_attempts=1)
        def deaf(context: Context) -> None:
            ran.append("deaf")
            if len(ran) == 1:
                began.set()
                assert stale.wait(DEADLINE_S)
                context["from"] = "the first"
            else:
                stale.set()
                context["from"] = "the second"

    handle = runner.submit("deaf")
    assert began.wait(DEADLINE_S)
    assert handle.wait(DEADLINE_S).status == "Failed"
    handle.retry()
    assert handle.wait(DEADLINE_S).final_context.to_dict() == {"from": "the second"}


def test_the_moves_of_a_retry_are_beside_the_normal_ones() -> None:
    final = {status for status in ExecutionStatus if status.is_final}
    assert EXECUTION_RETRY_MOVES.keys() == final - {ExecutionStatus.COMPLETED}
    assert not any(EXECUTION_MOVES[status] for status in final)
    assert TASK_RETRY_MOVES.keys() == {status for status in TaskStatus if status.is_final}
    assert not any(TASK_MOVES[status] for status in TASK_RETRY_MOVES)
