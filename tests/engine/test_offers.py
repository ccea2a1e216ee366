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
    ExecutionHandle,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.planner.guests import GuestReport
from cloacina.store import offers
from cloacina_sdk.attempt import ExecutionResult
from cloacina_sdk.changes import Changes
from cloacina_sdk.collect import collecting
from engine.databases import Where

PATIENCE_S = 30
TWO_SLOTS = DefaultRunnerConfig(
    max_concurrent_tasks=2, lease_seconds=15, heartbeat_seconds=0.5, backstop_seconds=1
)


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


ONE_SLOT = DefaultRunnerConfig(
    max_concurrent_tasks=1,
    heartbeat_seconds=0.5,
    backstop_seconds=1,
    cancel_grace_seconds=20,
    shutdown_timeout_seconds=PATIENCE_S,
)


A_MONTH_S = 30 * 24 * 3600
"""In milliseconds more than 32 bits hold."""


class Pair:
    """Two runners with a slot each, and a workflow of two tasks that wait to be let go."""

    def __init__(
        self, where: Where, runtime: Runtime, opened: ExitStack, timeout_s: float = A_MONTH_S
    ) -> None:
        self.where = where
        self.may_end = {name: threading.Event() for name in ("one", "two")}
        self.began = {name: threading.Event() for name in ("one", "two")}
        self.cancelled: list[str] = []
        with WorkflowBuilder("pair"):
            for each in ("one", "two"):

                async def run(context: Context, name: str = each) -> None:
                    self.began[name].set()
                    try:
                        await asyncio.to_thread(self.may_end[name].wait, PATIENCE_S)
                    except asyncio.CancelledError:
                        self.cancelled.append(name)
                        raise
                    context[name] = True

                task(id=each, retry_attempts=1, timeout=timeout_s)(run)
        opened.callback(self.let_go)
        self.owner = opened.enter_context(
            DefaultRunner(where.url, config=ONE_SLOT, runtime=runtime)
        )
        self.other = opened.enter_context(
            DefaultRunner(where.url, config=ONE_SLOT, runtime=runtime)
        )
        wait_for_peers(where, 2)

    def let_go(self) -> None:
        for event in self.may_end.values():
            event.set()

    def run_both(self) -> tuple[ExecutionHandle, str]:
        """Submit; return when both run, each on its runner, which one is the other's guest."""
        handle = self.owner.submit("pair")
        for event in self.began.values():
            assert event.wait(PATIENCE_S)
        (guest,) = self.where.query("SELECT task FROM attempt_offers WHERE claimed_by IS NOT NULL")
        return handle, guest[0]

    def outcomes(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, outcome in self.where.query(
            "SELECT t.task, a.outcome FROM task_attempts a JOIN task_executions t"
            " ON t.execution_id = a.execution_id AND t.number = a.task_number ORDER BY a.number"
        ):
            found.setdefault(name, []).append(outcome)
        return found


def test_cancelling_reaches_an_attempt_on_another_runner(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    handle, _guest = pair.run_both()
    handle.cancel()
    assert handle.wait(PATIENCE_S).status == "Cancelled"
    eventually(lambda: sorted(pair.cancelled) == ["one", "two"], "a body was not cancelled")
    assert pair.outcomes() == {"one": ["Cancelled"], "two": ["Cancelled"]}
    assert where.query("SELECT count(*) FROM attempt_offers") == [(0,)]


def test_an_attempt_on_another_runner_that_takes_too_long_is_ended(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened, timeout_s=1)
    handle = pair.owner.submit("pair")
    assert handle.wait(PATIENCE_S).status == "Failed"
    eventually(lambda: sorted(pair.cancelled) == ["one", "two"], "a body was not cancelled")
    assert pair.outcomes() == {"one": ["Failed"], "two": ["Failed"]}
    assert len(runners_of(where)) == 2


def test_a_runner_that_shuts_down_finishes_its_guest(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    handle, guest = pair.run_both()
    closing = threading.Thread(target=pair.other.shutdown)
    closing.start()
    pair.may_end[guest].set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    pair.let_go()
    assert handle.wait(PATIENCE_S).status == "Completed"
    assert pair.outcomes() == {"one": ["Succeeded"], "two": ["Succeeded"]}


def test_what_another_runner_runs_goes_on_when_its_owner_shuts_down(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    handle, guest = pair.run_both()
    for name, event in pair.may_end.items():
        if name != guest:
            event.set()
    pair.owner.shutdown()
    pair.let_go()
    assert pair.other.handle(handle.id).wait(PATIENCE_S).status == "Completed"
    assert pair.outcomes() == {"one": ["Succeeded"], "two": ["Succeeded"]}


def test_nothing_of_a_paused_execution_stays_on_offer(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    busy, _guest = pair.run_both()
    waiting = pair.owner.submit("pair")
    offered = "SELECT count(*) FROM attempt_offers WHERE claimed_by IS NULL"
    eventually(lambda: where.query(offered) == [(1,)], "nothing was offered")
    waiting.pause()
    assert where.query(offered) == [(0,)]
    pair.let_go()
    assert busy.wait(PATIENCE_S).status == "Completed"
    assert waiting.current().tasks["one"].status == "Ready"
    waiting.resume()
    assert waiting.wait(PATIENCE_S).status == "Completed"


def test_the_most_urgent_is_offered_and_claimed_first(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    order: list[int] = []
    lock = threading.Lock()
    with WorkflowBuilder("single"):

        @task
        def single(context: Context) -> None:
            priority = context["priority"]
            assert isinstance(priority, int)
            with lock:
                order.append(priority)

    busy, guest = pair.run_both()
    handles = [
        pair.owner.submit("single", {"priority": priority}, priority=priority)
        for priority in (1, 5, 3)
    ]
    pair.may_end[guest].set()  # now the other runner has a slot, and the owner has none
    for handle in handles:
        assert handle.wait(PATIENCE_S).status == "Completed"
    assert order == [5, 3, 1]
    assert len({*runners_of(where)}) == 2
    pair.let_go()
    assert busy.wait(PATIENCE_S).status == "Completed"


def test_a_runner_claims_only_what_it_knows(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    ran_on = threading.Semaphore(0)

    def body(context: Context, name: str) -> None:
        ran_on.release()
        context[name] = True

    define_fan_out(8, body)
    with WorkflowBuilder("narrow"):
        task(id="narrow")(lambda context: None)
    stranger = Runtime()
    with collecting(stranger.collection), WorkflowBuilder("wide"):
        task(id="t0")(lambda context: context.insert("t0", "of another version"))
    owner = opened.enter_context(DefaultRunner(where.url, config=ONE_SLOT, runtime=runtime))
    opened.enter_context(DefaultRunner(where.url, config=ONE_SLOT, runtime=stranger))
    wait_for_peers(where, 2)
    result = owner.execute("wide", timeout=PATIENCE_S)
    assert result.final_context.to_dict() == {f"t{n}": True for n in range(8)}
    assert len(runners_of(where)) == 1


def test_a_failure_on_another_runner_is_retried_and_keeps_its_traceback(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    both = threading.Barrier(2)
    failed: list[str] = []
    with WorkflowBuilder("flaky"):
        for each in ("one", "two"):

            def run(context: Context, name: str = each) -> None:
                if name not in failed:
                    both.wait(PATIENCE_S)  # on both runners at once
                    failed.append(name)
                    raise ValueError(f"{name} is not ready")
                context[name] = True

            task(id=each, retry_attempts=2, retry_delay_ms=1)(run)
    owner = opened.enter_context(DefaultRunner(where.url, config=ONE_SLOT, runtime=runtime))
    opened.enter_context(DefaultRunner(where.url, config=ONE_SLOT, runtime=runtime))
    wait_for_peers(where, 2)
    assert owner.execute("flaky", timeout=PATIENCE_S).status == "Completed"
    failures = where.query(
        "SELECT runner, error_message, traceback FROM task_attempts WHERE outcome = 'Failed'"
    )
    assert len({runner for runner, _, _ in failures}) == 2
    assert sorted(message for _, message, _ in failures) == [
        "one is not ready",
        "two is not ready",
    ]
    assert all("raise ValueError" in traceback for _, _, traceback in failures)


def test_a_report_under_another_token_changes_nothing(
    where: Where, runtime: Runtime, opened: ExitStack
) -> None:
    pair = Pair(where, runtime, opened)
    handle, guest = pair.run_both()
    (row,) = where.query("SELECT execution_id, task_number, attempt FROM attempt_offers")
    result = ExecutionResult.succeeded("stale", Changes(assigned={}, removed=frozenset()))
    stale = GuestReport(execution_id=row[0], task_number=row[1], attempt=row[2], result=result)
    with pair.owner._require_engine().database.write() as connection:
        assert not offers.report(connection, stale, 0)
    pair.let_go()
    result_of_both = handle.wait(PATIENCE_S)
    assert result_of_both.final_context.to_dict() == {"one": True, "two": True}
    assert pair.outcomes()[guest] == ["Succeeded"]
