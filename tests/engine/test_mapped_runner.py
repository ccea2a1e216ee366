"""Mapped tasks on the real engine and real databases."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina_sdk.json_text import JsonValue
from engine.databases import HASTY, Where

TARGET = Path(__file__).with_name("mapped_target.py")


def test_results_are_found_in_order_and_are_stored_once(
    runner: DefaultRunner, where: Where
) -> None:
    with WorkflowBuilder("map"):

        @task(map_over="xs", map_into="squares", retry_attempts=1)
        def square(context: Context, item: int) -> int:
            return item * item

        @task(dependencies=[square])
        def total(context: Context) -> None:
            squares = context["squares"]
            assert isinstance(squares, list)
            context["total"] = sum(each for each in squares if isinstance(each, int))

    result = runner.execute("map", {"xs": list(range(100))}, timeout=30)
    result.raise_for_status()
    assert result.final_context["total"] == sum(x * x for x in range(100))
    counts = result.tasks["square"].elements
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed, counts.running) == (100, 100, 0, 0)
    assert where.query("SELECT changes, elements FROM task_executions WHERE number = 0") == [
        (None, 100)
    ]
    rows = where.query(
        "SELECT item, task, changes FROM task_executions WHERE parent = 0 ORDER BY number"
    )
    assert rows[7] == (7, "square", '{"set":{"squares":49},"removed":[]}')
    again = runner.execution(result.execution_id)
    assert again.final_context == result.final_context
    assert again.tasks == result.tasks


def test_async_bodies_and_any_json_value(runner: DefaultRunner) -> None:
    values: list[JsonValue] = [None, True, 1.5, "x", [1, {"a": []}], {}]
    with WorkflowBuilder("map"):

        @task(map_over="xs")
        async def same(context: Context, item: JsonValue) -> JsonValue:
            return item

    assert runner.execute("map", {"xs": values}, timeout=30).final_context["same"] == values


def test_a_body_that_changes_its_context_is_told_to_return_the_result(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("map"):

        @task(map_over="xs", retry_attempts=1)
        def wrong(context: Context, item: JsonValue) -> None:
            context["result"] = item

    result = runner.execute("map", {"xs": [1]}, timeout=30)
    assert result.status == "Failed"
    assert "changed its context ('result')" in str(result.error_message)
    assert "return the element's result instead" in str(result.error_message)


def test_a_body_that_returns_what_json_cannot_hold_fails(runner: DefaultRunner) -> None:
    with WorkflowBuilder("map"):

        @task(map_over="xs", retry_attempts=1)
        def wrong(context: Context, item: JsonValue) -> object:
            return {1, 2}

    result = runner.execute("map", {"xs": [1]}, timeout=30)
    assert "InvalidContextValueError" in str(result.error_message)


def test_each_element_has_its_own_attempts(runner: DefaultRunner, where: Where) -> None:
    tried: Counter[int] = Counter()
    with WorkflowBuilder("map"):

        @task(map_over="xs", retry_attempts=2, retry_delay_ms=1)
        def flaky(context: Context, item: int) -> int:
            tried[item] += 1
            if item == 1 and tried[item] == 1:
                raise ConnectionError("first time")
            return item

    result = runner.execute("map", {"xs": [0, 1, 2]}, timeout=30)
    assert result.final_context["flaky"] == [0, 1, 2]
    assert result.tasks["flaky"].attempts == 4
    rows = where.query(
        "SELECT t.item, a.number, a.outcome FROM task_attempts a JOIN task_executions t"
        " ON t.execution_id = a.execution_id AND t.number = a.task_number ORDER BY 1, 2"
    )
    assert rows == [
        (0, 1, "Succeeded"),
        (1, 1, "Failed"),
        (1, 2, "Succeeded"),
        (2, 1, "Succeeded"),
    ]


def test_ten_thousand_elements_are_ordinary(runtime: Runtime, where: Where) -> None:
    with WorkflowBuilder("map"):

        @task(map_over="xs")
        def double(context: Context, item: int) -> int:
            return 2 * item

    config = DefaultRunnerConfig(max_concurrent_tasks=64)
    with DefaultRunner(where.url, runtime=runtime, config=config) as runner:
        result = runner.execute("map", {"xs": list(range(10_000))}, timeout=300)
        assert result.final_context["double"] == [2 * x for x in range(10_000)]
        assert runner.execution(result.execution_id).final_context == result.final_context


def test_only_elements_that_moved_have_rows(runtime: Runtime, where: Where) -> None:
    started, may_end = threading.Semaphore(0), threading.Event()
    with WorkflowBuilder("map"):

        @task(map_over="xs", max_parallel=2)
        def wait(context: Context, item: int) -> None:
            started.release()
            may_end.wait(30)

    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("map", {"xs": list(range(1000))})
        assert started.acquire(timeout=30)
        assert started.acquire(timeout=30)
        counts = handle.current().tasks["wait"].elements
        assert counts is not None
        assert (counts.total, counts.running) == (1000, 2)
        assert where.query("SELECT count(*) FROM task_executions") == [(3,)]
        handle.cancel()
        may_end.set()
        assert handle.wait(30).status == "Cancelled"
    assert where.query("SELECT count(*) FROM task_executions") == [(3,)]


def test_a_killed_run_goes_on_with_the_elements_that_are_left(where: Where, tmp_path: Path) -> None:
    side = tmp_path / "side"
    command = [sys.executable, str(TARGET), where.url, str(side)]
    first = subprocess.Popen([*command, "50"], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    reached = first.stdout.readline()
    first.kill()
    first.communicate(timeout=30)
    assert reached == "reached 50\n"
    second = subprocess.run(
        [*command, "0"], capture_output=True, text=True, check=False, timeout=120
    )
    assert second.stdout.splitlines()[-1:] == ["Completed 200 19900"], second.stderr
    bodies = Counter(side.read_text().split())
    assert len(bodies) == 200
    rows = where.query(
        "SELECT t.item, a.outcome FROM task_attempts a JOIN task_executions t"
        " ON t.execution_id = a.execution_id AND t.number = a.task_number"
        " WHERE t.parent IS NOT NULL ORDER BY 1, a.number"
    )
    ends: dict[int, list[str]] = {}
    for item, outcome in rows:
        ends.setdefault(item, []).append(outcome)
    assert sorted(ends) == list(range(200))
    for item, (*lost, last) in ends.items():
        assert last == "Succeeded"
        assert set(lost) <= {"RunnerLost"}
        assert bodies[str(item)] <= 1 + len(lost)
    assert any(len(outcomes) > 1 for outcomes in ends.values())  # it was cut off while some ran


def test_a_second_runner_takes_the_elements_over(runtime: Runtime, where: Where) -> None:
    started, may_end = threading.Event(), threading.Event()
    with WorkflowBuilder("map"):

        @task(map_over="xs", max_parallel=1)
        def step(context: Context, item: int) -> int:
            if item == 3:
                started.set()
                may_end.wait(30)
            return item

    first = DefaultRunner(where.url, runtime=runtime, config=HASTY)
    handle = first.submit("map", {"xs": list(range(6))})
    assert started.wait(30)
    threading.Timer(0, may_end.set).start()
    first.shutdown()
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as second:
        result = second.handle(handle.id).wait(30)
    assert result.final_context["step"] == list(range(6))
