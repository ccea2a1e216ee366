"""Tasks that take a handle, on real runners and both databases."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cloacina import (
    AsyncTaskHandle,
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    ExecutionHandle,
    Reason,
    Runtime,
    SentEvent,
    TaskHandle,
    WaitTimedOutError,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    InvalidConditionError,
    InvalidEventError,
)
from engine.databases import HASTY, Where
from engine.waiting import eventually

DEADLINE_S = 30
ONE_SLOT = DefaultRunnerConfig(max_concurrent_tasks=1, shutdown_timeout_seconds=5)


def kinds_of(handle: ExecutionHandle) -> list[str]:
    return [event.kind for event in handle.events(follow=False)]


def wait_until_deferred(handle: ExecutionHandle, times: int = 1) -> None:
    eventually(lambda: kinds_of(handle).count("task_deferred") == times)


def test_a_moment_and_a_delay_are_waited_for(runner: DefaultRunner) -> None:
    with WorkflowBuilder("nap"):

        @task
        def nap(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(timedelta(milliseconds=20))
            handle.defer_until(datetime.now(UTC) + timedelta(milliseconds=20))
            context["rested"] = True

    result = runner.execute("nap")
    assert result.final_context["rested"] is True
    assert result.tasks["nap"].attempts == 3


def test_a_coroutine_waits_too(runner: DefaultRunner) -> None:
    with WorkflowBuilder("nap"):

        @task
        async def nap(context: Context, handle: AsyncTaskHandle) -> None:
            await handle.checkpoint(1)
            await handle.defer_until(timedelta(milliseconds=5))
            context["answer"] = await handle.wait_event("go")
            context["checkpoint"] = handle.last_checkpoint

    handle = runner.submit("nap")
    handle.send_event("go", [1])
    assert handle.wait(DEADLINE_S).final_context.to_dict() == {"answer": [1], "checkpoint": 1}


def test_a_wait_that_times_out_can_be_caught(runner: DefaultRunner) -> None:
    with WorkflowBuilder("impatient"):

        @task(retry_attempts=1)
        def impatient(context: Context, handle: TaskHandle) -> None:
            try:
                handle.wait_event("never", timeout="10ms")
            except WaitTimedOutError:
                context["gave_up"] = True
            handle.wait_event("never", timeout=0.01)

    result = runner.execute("impatient")
    assert result.status == "Failed"
    assert "WaitTimedOutError" in (result.error_message or "")


def test_conditions_are_called_by_name(runner: DefaultRunner) -> None:
    calls = iter([False, 0, "", "yes"])
    runner.register_condition("stock", lambda: next(calls))

    async def soon() -> bool:
        return True

    runner.register_condition("soon", soon)
    with WorkflowBuilder("stocked"):

        @task
        def stocked(context: Context, handle: TaskHandle) -> None:
            handle.defer_until("stock", poll_interval="1ms")
            handle.defer_until("soon", poll_interval="1ms")
            context["is_there"] = True

    assert runner.execute("stocked").final_context["is_there"] is True
    assert list(calls) == []


def test_what_a_condition_raises_fails_the_attempt_under_the_retry_policy(
    runner: DefaultRunner,
) -> None:
    moods = iter([OSError("no line"), ValueError("broken")])

    def moody() -> bool:
        raise next(moods)

    runner.register_condition("moody", moody)
    with WorkflowBuilder("moody"):

        @task(retry_attempts=5, retry_condition=[OSError], retry_delay_ms=1)
        def waits(context: Context, handle: TaskHandle) -> None:
            handle.defer_until("moody")

    handle = runner.submit("moody")
    result = handle.wait(DEADLINE_S)
    assert (result.status, result.error_message) == (
        "Failed",
        "task 'waits' failed: ValueError: broken",
    )
    assert kinds_of(handle).count("task_retrying") == 1


def test_a_condition_that_hangs_delays_nobody_else(runner: DefaultRunner) -> None:
    hang = threading.Event()
    runner.register_condition("hangs", lambda: hang.wait(DEADLINE_S))
    runner.register_condition("holds", lambda: True)
    with WorkflowBuilder("waits"):

        @task
        def waits(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(str(context["for"]))

    stuck = runner.submit("waits", {"for": "hangs"})
    wait_until_deferred(stuck)
    assert runner.execute("waits", {"for": "holds"}).status == "Completed"
    runner.register_condition("hangs", lambda: True)
    assert stuck.wait(DEADLINE_S).status == "Completed"
    hang.set()


def test_a_condition_that_is_registered_late_is_waited_for(runner: DefaultRunner) -> None:
    with WorkflowBuilder("waits"):

        @task
        def waits(context: Context, handle: TaskHandle) -> None:
            handle.defer_until("unknown", poll_interval="1ms")

    handle = runner.submit("waits")
    wait_until_deferred(handle)
    explained = handle.explain("waits")
    assert explained.reason is Reason.CONDITION_UNKNOWN
    assert "register_condition('unknown'" in explained.unblock
    runner.register_condition("unknown", lambda: True)
    assert handle.wait(DEADLINE_S).status == "Completed"


def test_a_function_is_polled_in_place_without_a_slot(runtime: Runtime, where: Where) -> None:
    may_end = threading.Event()
    with WorkflowBuilder("polls"):

        @task
        def polls(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(may_end.is_set, poll_interval="1ms")
            context["held"] = handle.is_slot_held()

    with WorkflowBuilder("quick"):

        @task
        def quick(context: Context) -> None: ...

    with DefaultRunner(where.url, runtime=runtime, config=ONE_SLOT) as runner:
        handle = runner.submit("polls")
        assert runner.execute("quick", timeout=DEADLINE_S).status == "Completed"
        eventually(lambda: handle.explain("polls").reason is Reason.PARKED)
        may_end.set()
        result = handle.wait(DEADLINE_S)
        assert result.final_context["held"] is True
        assert result.tasks["polls"].attempts == 1


def test_a_checkpoint_survives_a_failure(runner: DefaultRunner) -> None:
    with WorkflowBuilder("steps"):

        @task(retry_attempts=2, retry_delay_ms=1)
        def steps(context: Context, handle: TaskHandle) -> None:
            if handle.last_checkpoint is None:
                handle.checkpoint({"step": 1})
                raise ConnectionError("once")
            context["found"] = handle.last_checkpoint

    assert runner.execute("steps").final_context["found"] == {"step": 1}


@pytest.mark.parametrize("wait", ["event", "condition", "time", "function"])
def test_cancelling_ends_whatever_is_waited_for(runner: DefaultRunner, wait: str) -> None:
    conditions: dict[str, SentEvent | str | timedelta | Callable[[], bool]] = {
        "event": SentEvent("never"),
        "condition": "unknown",
        "time": timedelta(days=1),
        "function": lambda: False,
    }
    with WorkflowBuilder("waits"):

        @task
        def waits(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(conditions[wait])

    handle = runner.submit("waits")
    eventually(lambda: {"task_deferred", "task_parked"} & set(kinds_of(handle)))
    handle.cancel()
    assert handle.wait(DEADLINE_S).status == "Cancelled"


def test_a_parked_body_is_run_again_by_the_next_runner(runtime: Runtime, where: Where) -> None:
    may_end = threading.Event()
    with WorkflowBuilder("polls"):

        @task
        def polls(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(may_end.is_set, poll_interval="1ms")

    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as first:
        handle = first.submit("polls")
        eventually(lambda: "task_parked" in kinds_of(handle))
    may_end.set()
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as second:
        result = second.handle(handle.id).wait(DEADLINE_S)
    assert (result.status, result.tasks["polls"].attempts) == ("Completed", 2)


def test_what_is_no_condition_is_refused(runner: DefaultRunner) -> None:
    for name in ("", "x" * 201, "a\0b", 7):
        with pytest.raises(InvalidConditionError):
            runner.register_condition(name, lambda: True)  # type: ignore[arg-type]  # likewise
    with pytest.raises(InvalidConditionError, match="cannot be called"):
        runner.register_condition("stock", True)  # type: ignore[arg-type]  # likewise


def test_the_elements_of_a_mapped_task_wait(runner: DefaultRunner) -> None:
    with WorkflowBuilder("each"):

        @task(map_over="items", map_into="found")
        def each(context: Context, item: int, handle: TaskHandle) -> object:
            return [item, handle.wait_event("go")]

    handle = runner.submit("each", {"items": [1, 2, 3]})
    wait_until_deferred(handle, 3)
    handle.send_event("go", "!")
    found = handle.wait(DEADLINE_S).final_context["found"]
    assert found == [[1, "!"], [2, "!"], [3, "!"]]


def test_retrying_an_execution_begins_its_waits_anew(runner: DefaultRunner) -> None:
    failures: Iterator[bool] = iter([True, False])
    with WorkflowBuilder("again"):

        @task(retry_attempts=1)
        def again(context: Context, handle: TaskHandle) -> None:
            context["before"] = handle.last_checkpoint
            handle.checkpoint("kept")
            context["answer"] = handle.wait_event("go")
            if next(failures):
                raise ValueError("once")

    handle = runner.submit("again")
    handle.send_event("go", 1)
    handle.send_event("go", 2)
    assert handle.wait(DEADLINE_S).status == "Failed"
    handle.retry()
    context = handle.wait(DEADLINE_S).final_context
    assert context.to_dict() == {"answer": 1, "before": "kept"}


def test_the_time_of_a_workflow_stands_still_while_it_waits(runtime: Runtime, where: Where) -> None:
    with WorkflowBuilder("slow") as builder:
        builder.timeout("300ms")

        @task
        def slow(context: Context, handle: TaskHandle) -> None:
            handle.defer_until(timedelta(milliseconds=600))

    with DefaultRunner(where.url, runtime=runtime) as runner:
        assert runner.execute("slow").status == "Completed"


def test_a_condition_that_cannot_be_called_for_want_of_threads_is_called_later(
    runner: DefaultRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [RuntimeError("can't start new thread")] * 2
    start = threading.Thread.start

    def fails_at_first(self: threading.Thread) -> None:
        if self.name == "cloacina-condition" and failures:
            raise failures.pop()
        start(self)

    monkeypatch.setattr(threading.Thread, "start", fails_at_first)
    runner.register_condition("holds", lambda: True)
    with WorkflowBuilder("waits"):

        @task
        def waits(context: Context, handle: TaskHandle) -> None:
            handle.defer_until("holds", poll_interval="1ms")

    assert runner.execute("waits").status == "Completed"
    assert failures == []


def test_a_wait_that_timed_out_is_begun_anew_by_a_retry(runner: DefaultRunner) -> None:
    runs: list[object] = []
    with WorkflowBuilder("patient"):

        @task(retry_attempts=2, retry_delay_ms=1)
        def patient(context: Context, handle: TaskHandle) -> None:
            runs.append(None)
            try:
                handle.wait_event("caught", timeout="1ms")
            except WaitTimedOutError:
                context["gave_up"] = True
            context["answer"] = handle.wait_event("go", timeout="50ms" if len(runs) < 4 else "30s")

    handle = runner.submit("patient")
    stream = handle.events()
    while next(stream).kind != "task_retrying":
        pass
    handle.send_event("go", 7)
    result = handle.wait(DEADLINE_S)
    assert (result.status, result.final_context.to_dict()) == (
        "Completed",
        {"gave_up": True, "answer": 7},
    )


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 201])
def test_a_name_that_no_event_can_have_is_refused_with_the_rule(
    runner: DefaultRunner, name: str
) -> None:
    with pytest.raises(InvalidEventError, match="its name must have 1 to 200 characters"):
        runner.send_event("e", name)
