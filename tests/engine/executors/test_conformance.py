"""What every executor does, whoever wrote it."""

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import ResultStatus
from cloacina_sdk.changes import Changes
from engine.executors.benches import CAPACITY, Bench, a_bench
from engine.executors.gate import Gate


@pytest.fixture(params=["thread", "loop", "worker", "process"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with a_bench(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def gate(bench: Bench, tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


def nothing_more(bench: Bench) -> bool:
    try:
        bench.results.get_nowait()
    except queue.Empty:
        return True
    return False


def test_a_body_that_returns_is_reported_with_its_changes(bench: Bench) -> None:
    result = bench.run("adds", {"a": 1, "b": 2})
    assert result.status is ResultStatus.SUCCEEDED
    assert result.outcome == Changes(assigned={"sum": "3"}, removed=frozenset({"a"}))


def test_a_body_that_raises_is_reported_with_its_error(bench: Bench) -> None:
    failure = bench.run("breaks").failure
    assert failure is not None
    assert (failure.error_type, failure.message) == ("ValueError", "the disk is round")
    assert "def breaks" in failure.traceback or "in breaks" in failure.traceback
    assert not failure.is_transient


def test_what_a_body_asks_for_arrives(bench: Bench) -> None:
    stumbled, again, hopeless = (
        bench.run(body).failure for body in ("stumbles", "asks_again", "gives_up")
    )
    assert stumbled is not None
    assert stumbled.is_transient
    assert again is not None
    assert (again.is_retry_wanted, again.retry_after_ms) == (True, 7000)
    assert hopeless is not None
    assert hopeless.is_fatal


@pytest.mark.parametrize("body", ["leaves", "returns_nonsense"])
def test_a_body_that_misbehaves_fails_alone(bench: Bench, body: str) -> None:
    assert bench.run(body).status is ResultStatus.FAILED
    assert bench.run("adds", {"a": 1, "b": 1}).status is ResultStatus.SUCCEEDED


def test_a_huge_context_passes_both_ways(bench: Bench) -> None:
    big = "é" * 4_000_000
    outcome = bench.run("copies", {"big": big}).outcome
    assert isinstance(outcome, Changes)
    assert outcome.assigned == {"copy": f'"{big}"'}


def test_as_many_attempts_as_it_has_capacity_for_run_at_once(bench: Bench, gate: Gate) -> None:
    assert bench.executor.capacity in {CAPACITY, None}
    tokens = {bench.start("waits", gate.values) for _ in range(CAPACITY)}
    gate.await_begun(CAPACITY)
    gate.let_go(CAPACITY)
    results = [bench.result() for _ in range(CAPACITY)]
    assert {result.token for result in results} == tokens
    assert {result.status for result in results} == {ResultStatus.SUCCEEDED}


def test_each_result_carries_the_token_of_its_attempt(bench: Bench) -> None:
    sums = {bench.start("adds", {"a": n, "b": 1}): n + 1 for n in range(6)}
    for _ in range(6):
        result = bench.result()
        outcome = result.outcome
        assert isinstance(outcome, Changes)
        assert outcome.assigned == {"sum": str(sums.pop(result.token))}
    assert not sums


def test_an_attempt_that_is_asked_to_end_does_or_goes_on_and_is_reported_once(
    bench: Bench, gate: Gate
) -> None:
    token = bench.start("waits", gate.values)
    gate.await_begun()
    bench.executor.cancel(token, is_kill=False)
    gate.let_go()
    assert bench.result().token == token
    assert bench.run("adds", {"a": 1, "b": 1}).status is ResultStatus.SUCCEEDED
    assert nothing_more(bench)


def test_a_killed_attempt_ends_where_the_executor_says_so(bench: Bench, gate: Gate) -> None:
    token = bench.start("waits", gate.values)
    gate.await_begun()
    bench.executor.cancel(token, is_kill=True)
    if not (bench.executor.can_kill or bench.is_async):
        gate.let_go()
        assert bench.result().status is ResultStatus.SUCCEEDED
        return
    result = bench.result()
    assert (result.token, result.status) == (token, ResultStatus.FAILED)
    assert bench.run("adds", {"a": 1, "b": 1}).status is ResultStatus.SUCCEEDED


def test_an_attempt_killed_before_it_begins_is_reported_once(bench: Bench, gate: Gate) -> None:
    running = [bench.start("waits", gate.values) for _ in range(CAPACITY)]
    gate.await_begun(CAPACITY)
    token = bench.start("waits", gate.values)
    bench.executor.cancel(token, is_kill=True)
    if bench.executor.can_kill:
        assert (bench.result().token, nothing_more(bench)) == (token, True)
    gate.let_go(CAPACITY + 1)
    left = {bench.result().token for _ in range(CAPACITY + 1 - bench.executor.can_kill)}
    assert left == {*running, token} - ({token} if bench.executor.can_kill else set())
    assert nothing_more(bench)


def test_cancelling_what_is_not_here_does_nothing(bench: Bench) -> None:
    for is_kill in (False, True):
        bench.executor.cancel("stranger", is_kill=is_kill)
    result = bench.run("adds", {"a": 1, "b": 1})
    bench.executor.cancel(result.token, is_kill=True)
    assert bench.run("adds", {"a": 2, "b": 1}).status is ResultStatus.SUCCEEDED


def test_it_counts_what_it_does(bench: Bench, gate: Gate) -> None:
    before = bench.executor.metrics()
    assert (before.active, before.total_started, before.average_duration_s) == (0, 0, None)
    bench.run("adds", {"a": 1, "b": 1})
    bench.run("breaks")
    bench.start("waits", gate.values)
    gate.await_begun()
    metrics = bench.executor.metrics()
    assert metrics.capacity == bench.executor.capacity
    assert (metrics.active, metrics.total_started) == (1, 3)
    assert (metrics.total_succeeded, metrics.total_failed) == (1, 1)
    assert (metrics.average_duration_s or 0) > 0
    gate.let_go()
    bench.result()
    assert bench.executor.metrics().active == 0


def test_it_closes_while_a_body_runs(bench: Bench, gate: Gate) -> None:
    token = bench.start("waits", gate.values)
    gate.await_begun()
    bench.close(0.05)
    if bench.executor.can_kill or bench.is_async:
        result = bench.result()
        assert (result.token, result.status) == (token, ResultStatus.FAILED)
    else:
        gate.let_go()  # a thread goes on, and its end is reported all the same
        assert bench.result().token == token
    assert nothing_more(bench)
