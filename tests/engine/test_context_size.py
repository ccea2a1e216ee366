"""Contexts that grow beyond their limit fail what made them, with the name of the largest key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import ContextTooLargeError
from cloacina.model.context_size import excess_of
from cloacina_sdk.collect import collecting
from cloacina_sdk.json_text import encode
from engine.databases import Where

LIMIT = 1_000


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        with WorkflowBuilder("grow"):

            @task
            def blow_up(context: Context) -> None:
                context["small"] = 1
                context["huge"] = "x" * 2_000

        with WorkflowBuilder("meet"):

            @task
            def left(context: Context) -> None:
                context["left"] = "l" * 600

            @task
            def right(context: Context) -> None:
                context["right"] = "r" * 700

            @task(dependencies=[left, right])
            def both(_context: Context) -> None:
                raise AssertionError("it must not begin")

        with WorkflowBuilder("part"):

            @task
            def one(context: Context) -> None:
                context["one"] = "l" * 600

            @task
            def other(context: Context) -> None:
                context["other"] = "r" * 700

        with WorkflowBuilder("list"):

            @task(map_over="items", map_into="found")
            def each(_context: Context, _item: object) -> str:
                return "x" * 300

        with WorkflowBuilder("keep"):

            @task
            def keep(context: Context) -> None:
                context["n"] = "x" * 500

        yield own


@pytest.fixture
def runner(runtime: Runtime, where: Where) -> Iterator[DefaultRunner]:
    config = DefaultRunnerConfig(max_context_bytes=LIMIT)
    with DefaultRunner(where.url, runtime=runtime, config=config) as opened:
        yield opened


def test_a_task_that_leaves_too_much_fails_at_once_and_names_the_largest_key(
    runner: DefaultRunner, where: Where
) -> None:
    result = runner.execute("grow")
    assert (result.status, result.tasks["blow_up"].attempts) == ("Failed", 1)
    assert result.error_message is not None
    for fact in ("ContextTooLarge", "'huge'", "2,002 bytes", "1,000"):
        assert fact in result.error_message
    assert where.query("SELECT changes FROM task_executions") == [(None,)]


def test_a_task_that_would_see_too_much_never_begins(runner: DefaultRunner) -> None:
    result = runner.execute("meet")
    assert {name: each.status for name, each in result.tasks.items()} == {
        "left": "Completed",
        "right": "Completed",
        "both": "Failed",
    }
    assert "'right'" in str(result.tasks["both"].error)


@pytest.mark.parametrize(("workflow", "largest"), [("part", "other"), ("list", "found")])
def test_leaves_that_leave_too_much_together_fail_the_execution(
    runner: DefaultRunner, runtime: Runtime, where: Where, workflow: str, largest: str
) -> None:
    result = runner.execute(workflow, {"items": [1, 2, 3, 4]})
    assert {each.status for each in result.tasks.values()} == {"Completed"}
    assert result.status == "Failed"
    assert result.error_message is not None
    assert "ContextTooLarge" in result.error_message
    assert repr(largest) in result.error_message
    generous = DefaultRunnerConfig(max_context_bytes=10 * LIMIT)
    with DefaultRunner(where.url, runtime=runtime, config=generous) as second:
        assert second.execute(workflow, {"items": [1, 2, 3, 4]}).status == "Completed"


def test_a_larger_input_is_refused_before_anything_is_stored(runner: DefaultRunner) -> None:
    with pytest.raises(ContextTooLargeError, match="'much'") as caught:
        runner.submit("keep", {"little": 1, "much": "é" * 600})
    assert caught.value.key == "much"
    assert runner.executions() == []
    assert runner.execute("keep", {"much": "x" * 400}).status == "Completed"


def test_zero_is_no_limit(runtime: Runtime, tmp_path: Path) -> None:
    config = DefaultRunnerConfig(max_context_bytes=0)
    with DefaultRunner(tmp_path / "c.db", runtime=runtime, config=config) as runner:
        assert runner.execute("grow", {"n": "x" * 10_000}).status == "Completed"


@pytest.mark.parametrize("text", ["a" * 300, "é" * 300, "\u20ac" * 300, "\U0001f600" * 300])
def test_the_size_is_that_of_the_json_text_in_utf_8(text: str) -> None:
    texts = {"key": encode(text), "other": "1"}
    size = len(("{" + ",".join(f"{encode(k)}:{v}" for k, v in texts.items()) + "}").encode())
    assert excess_of(texts, size) is None
    excess = excess_of(texts, size - 1)
    assert excess is not None
    assert (excess.total_bytes, excess.key) == (size, "key")
