"""A second submission under the same idempotency key is the first execution."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import IdempotencyConflictError, InvalidIdempotencyKeyError
from cloacina_sdk.collect import collecting
from cloacina_sdk.json_text import JsonValue
from engine.databases import Where
from engine.racing import race

PATIENCE_S = 60.0


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def runtime(calls: list[str]) -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        for name in ("pay", "refund"):
            with WorkflowBuilder(name):

                @task
                def work(context: Context) -> None:
                    calls.append(str(context.get("order")))

        with WorkflowBuilder("bad"):

            @task(retry_attempts=1)
            def breaks(_context: Context) -> None:
                calls.append("bad")
                raise ValueError("no")

        yield own


def test_the_same_key_returns_the_first_execution_and_runs_nothing(
    runner: DefaultRunner, calls: list[str]
) -> None:
    first = runner.submit("pay", {"order": 1}, idempotency_key="order-1")
    second = runner.submit("pay", {"order": 1}, idempotency_key="order-1", priority=7)
    assert second.id == first.id
    assert second.wait(PATIENCE_S).status == "Completed"
    result = runner.execute("pay", {"order": 1}, idempotency_key="order-1", timeout=PATIENCE_S)
    assert (result.execution_id, result.status) == (first.id, "Completed")
    assert calls == ["1"]


def test_a_failed_execution_keeps_its_key(runner: DefaultRunner, calls: list[str]) -> None:
    first = runner.execute("bad", idempotency_key="k")
    again = runner.execute("bad", idempotency_key="k")
    assert (again.execution_id, again.status) == (first.execution_id, "Failed")
    assert calls == ["bad"]


def test_a_key_belongs_to_one_workflow(runner: DefaultRunner) -> None:
    paid = runner.execute("pay", idempotency_key="k")
    refunded = runner.execute("refund", idempotency_key="k")
    assert paid.execution_id != refunded.execution_id
    assert refunded.workflow == "refund"


def test_the_same_key_with_another_input_is_refused_by_name(runner: DefaultRunner) -> None:
    first = runner.execute("pay", {"a": {"x": 1, "y": 2}, "b": 1}, idempotency_key="k")
    reordered: dict[str, JsonValue] = {"b": 1, "a": {"y": 2, "x": 1}}
    assert runner.execute("pay", reordered, idempotency_key="k").execution_id == first.execution_id
    with pytest.raises(IdempotencyConflictError, match=first.execution_id):
        runner.submit("pay", {"a": {"x": 1, "y": 2}, "b": True}, idempotency_key="k")


def test_a_key_holds_in_every_runner_and_after_a_restart(
    runtime: Runtime, where: Where, calls: list[str]
) -> None:
    with DefaultRunner(where.url, runtime=runtime) as one:
        first = one.execute("pay", idempotency_key="k")
    with DefaultRunner(where.url, runtime=runtime) as other:
        again = asyncio.run(other.execute_async("pay", idempotency_key="k"))
    assert again.execution_id == first.execution_id
    assert len(calls) == 1


def test_threads_that_race_for_a_key_get_one_execution(
    runner: DefaultRunner, calls: list[str]
) -> None:
    at_once = threading.Barrier(8)

    def submit(_: int) -> str:
        at_once.wait(PATIENCE_S)
        return runner.execute("pay", {"order": 3}, idempotency_key="k").execution_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(submit, range(8)))) == 1
    assert calls == ["3"]


_RACER = """
import sys
from cloacina import DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting
own = Runtime()
with collecting(own.collection), WorkflowBuilder("pay"):
    task(id="work")(lambda context: None)
with DefaultRunner(sys.argv[1], runtime=own) as runner:
    print("ready", flush=True)
    sys.stdin.readline()
    handles = [runner.submit("pay", idempotency_key=f"k{n}") for n in range(20)]
    print(*[handle.wait(60).execution_id for handle in handles])
"""


def test_processes_that_race_for_keys_get_the_same_executions(where: Where) -> None:
    (one, _), (other, _) = race(_RACER, where.url, count=2)
    assert one == other
    assert len(set(one.split())) == 20
    assert where.query("SELECT count(*) FROM workflow_executions") == [(20,)]


@pytest.mark.parametrize(
    ("key", "fact"),
    [("", "0 characters"), ("k" * 256, "256 characters"), ("a\0b", "printed"), (7, "type int")],
)
def test_a_key_that_cannot_be_kept_is_refused(key: str, fact: str) -> None:
    with (
        DefaultRunner(":memory:", runtime=Runtime()) as runner,
        pytest.raises(InvalidIdempotencyKeyError, match=fact),
    ):
        runner.submit("pay", idempotency_key=key)


def test_the_longest_key_is_kept_whole(runner: DefaultRunner, where: Where) -> None:
    key = "é" * 255
    first = runner.execute("pay", idempotency_key=key)
    assert runner.execute("pay", idempotency_key=key).execution_id == first.execution_id
    assert where.query("SELECT idempotency_key FROM workflow_executions") == [(key,)]
