"""Workflows on the real engine and real databases."""

import asyncio
import threading

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    RetryPolicy,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    TaskFailedError,
)
from cloacina_sdk.json_text import MAX_DEPTH, JsonValue
from engine.databases import Where
from engine.gate import Gate

QUICK = RetryPolicy.builder().max_attempts(3).initial_delay(0.001).with_jitter(False).build()


def test_a_workflow_runs_in_order_and_returns_the_final_context(runner: DefaultRunner) -> None:
    with WorkflowBuilder("sum"):

        @task
        def first(context: Context) -> None:
            context["steps"] = ["first"]

        @task(dependencies=[first])
        def second(context: Context) -> dict[str, list[str]]:
            return {"steps": [*context["steps"], "second"]}  # type: ignore[misc]  # a JSON list

    result = runner.execute("sum", {"x": 1})
    assert result.status == "Completed"
    assert result.final_context.to_dict() == {"x": 1, "steps": ["first", "second"]}
    assert result.input_context.to_dict() == {"x": 1}
    assert [t.attempts for t in result.tasks.values()] == [1, 1]
    assert result.error_message is None
    result.raise_for_status()


def test_a_failing_task_is_a_result_that_names_the_task_and_its_error(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("bad"):

        @task(retry_attempts=1)
        def breaks(_context: Context) -> None:
            raise ValueError("the disk is round")

        @task(dependencies=[breaks])
        def after(_context: Context) -> None: ...

    result = runner.execute("bad")
    assert result.status == "Failed"
    assert result.error_message == "task 'breaks' failed: ValueError: the disk is round"
    assert result.tasks["after"].reason == "dependency 'breaks' failed"
    with pytest.raises(TaskFailedError, match="the disk is round"):
        result.raise_for_status()


def test_a_failed_attempt_is_retried_and_every_attempt_is_recorded(
    runner: DefaultRunner, where: Where
) -> None:
    calls = []
    with WorkflowBuilder("flaky"):

        @task(retry=QUICK)
        def flaky(_context: Context) -> dict[str, int]:
            calls.append(1)
            if len(calls) < 3:
                raise OSError("not yet")
            return {"calls": len(calls)}

    result = runner.execute("flaky")
    assert (result.status, result.final_context["calls"]) == ("Completed", 3)
    assert result.tasks["flaky"].attempts == 3
    rows = where.query("SELECT number, outcome, error_message FROM task_attempts ORDER BY number")
    assert rows == [
        (1, "Failed", "not yet"),
        (2, "Failed", "not yet"),
        (3, "Succeeded", None),
    ]


def test_an_async_task_runs_on_a_loop_of_the_engine(runner: DefaultRunner) -> None:
    with WorkflowBuilder("async"):

        @task
        async def waits(context: Context) -> None:
            await asyncio.sleep(0)
            context["thread"] = threading.current_thread().name

    result = runner.execute("async")
    assert result.final_context["thread"] == "cloacina-loop"


def test_async_with_runs_async_tasks_on_the_loop_of_the_caller(
    runtime: Runtime, where: Where
) -> None:
    loops = []
    with WorkflowBuilder("here"):

        @task
        async def which_loop(_context: Context) -> None:
            loops.append(asyncio.get_running_loop())

    async def main() -> None:
        async with DefaultRunner(where.url, runtime=runtime) as runner:
            result = await runner.execute_async("here")
            assert result.status == "Completed"
            assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_a_task_that_returns_something_else_fails_with_what_to_return(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def odd(_context: Context) -> int:
            return 7

    message = runner.execute("odd").error_message
    assert message is not None
    assert "int" in message


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_task_that_tries_to_end_the_process_fails_like_any_other(
    runner: DefaultRunner, error: BaseException
) -> None:
    with WorkflowBuilder("exits"):

        @task(retry_attempts=1)
        def exits(_context: Context) -> None:
            raise error

    result = runner.execute("exits")
    assert result.status == "Failed"
    assert type(error).__name__ in (result.error_message or "")


def test_a_redefined_workflow_leaves_a_run_in_flight_on_its_graph(
    runner: DefaultRunner,
) -> None:
    gate = Gate()
    with WorkflowBuilder("w"):

        @task(id="one")
        def one(_context: Context) -> None:
            gate.pass_through()

        @task(id="two", dependencies=["one"])
        def two(context: Context) -> None:
            context["two"] = "ran"

    handle = runner.submit("w")
    gate.await_body()
    with WorkflowBuilder("w"):

        @task(id="two")
        def alone(context: Context) -> None:
            context["two"] = "replaced"

        @task(id="three")
        def three(_context: Context) -> None: ...

    gate.open()
    result = handle.wait(10)
    assert result.status == "Completed"
    assert list(result.tasks) == ["one", "two"]


def test_values_as_deep_as_is_allowed_can_be_merged(runner: DefaultRunner) -> None:
    def deep(leaf: int) -> JsonValue:
        value: JsonValue = leaf
        for _ in range(MAX_DEPTH):
            value = {"a": value}
        return value

    with WorkflowBuilder("deep"):

        @task
        def left(context: Context) -> None:
            context["k"] = deep(1)

        @task
        def right(context: Context) -> None:
            context["k"] = deep(2)

        @task(dependencies=[left, right])
        def join(_context: Context) -> None: ...

        @task(retry_attempts=1)
        def deeper(context: Context) -> None:
            context["deeper"] = [deep(1)]

    result = runner.execute("deep")
    assert result.tasks["join"].status == "Completed"
    assert "nested over 200 levels" in (result.tasks["deeper"].error or "")
    assert result.final_context["k"] == deep(2)


def test_an_error_with_an_odd_name_is_recorded_all_the_same(runner: DefaultRunner) -> None:
    odd = type("Odd", (Exception,), {"__module__": "m\0\udcff"})
    with WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def fails(_context: Context) -> None:
            raise odd("\udcff")

    result = runner.execute("odd")
    assert result.status == "Failed"
    assert runner.execution(result.execution_id).error_message == result.error_message
