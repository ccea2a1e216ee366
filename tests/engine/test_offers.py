"""Several runners on one database share the attempts of an execution."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina_sdk.collect import collecting
from engine.databases import Where

PATIENCE_S = 30
TWO_SLOTS = DefaultRunnerConfig(
    max_concurrent_tasks=2, lease_seconds=15, heartbeat_seconds=0.5, backstop_seconds=1
)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        yield own


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def eventually(claim: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


def wait_for_peers(where: Where, count: int) -> None:
    query = "SELECT count(*) FROM runners"
    eventually(lambda: where.query(query) == [(count,)], "the runners did not find each other")


def runners_of(where: Where) -> Counter[str]:
    return Counter(dict(where.query("SELECT runner, count(*) FROM task_attempts GROUP BY runner")))


def define_fan_out(width: int, body: Callable[[Context, str], None]) -> None:
    with WorkflowBuilder("wide"):
        for number in range(width):

            def run(context: Context, name: str = f"t{number}") -> None:
                body(context, name)

            task(id=f"t{number}", retry_attempts=1)(run)


@pytest.mark.parametrize("count", [2, 3])
def test_a_wide_execution_uses_the_slots_of_all_runners(
    where: Where, runtime: Runtime, opened: ExitStack, count: int
) -> None:
    everybody = threading.Barrier(2 * count)
    lock, seen = threading.Lock(), Counter[str]()

    def body(context: Context, name: str) -> None:
        with lock:
            seen[name] += 1
            is_early = sum(seen.values()) <= 2 * count
        if is_early:  # the first ones end only once every slot of every runner has one
            everybody.wait(PATIENCE_S)
        context[name] = True

    define_fan_out(50, body)
    first = opened.enter_context(DefaultRunner(where.url, config=TWO_SLOTS, runtime=runtime))
    for _ in range(count - 1):
        opened.enter_context(DefaultRunner(where.url, config=TWO_SLOTS, runtime=runtime))
    wait_for_peers(where, count)
    result = first.execute("wide", timeout=PATIENCE_S)
    assert result.status == "Completed"
    assert len(result.final_context) == 50
    assert set(seen.values()) == {1}
    assert len(runners_of(where)) == count
    assert where.query("SELECT count(*) FROM attempt_offers") == [(0,)]


def test_an_async_task_is_run_by_another_runner(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    both = threading.Barrier(2)
    with WorkflowBuilder("two"):

        @task
        async def one(context: Context) -> None:
            await asyncio.to_thread(both.wait, PATIENCE_S)
            context["one"] = context["given"]

        @task
        async def two(context: Context) -> None:
            await asyncio.to_thread(both.wait, PATIENCE_S)
            context["two"] = context["given"]

    config = DefaultRunnerConfig(max_concurrent_tasks=1, backstop_seconds=1)
    first = opened.enter_context(DefaultRunner(where.url, config=config, runtime=runtime))
    opened.enter_context(DefaultRunner(where.url, config=config, runtime=runtime))
    wait_for_peers(where, 2)
    result = first.execute("two", {"given": "ü"}, timeout=PATIENCE_S)
    assert result.final_context.to_dict() == {"given": "ü", "one": "ü", "two": "ü"}
    assert len(runners_of(where)) == 2
