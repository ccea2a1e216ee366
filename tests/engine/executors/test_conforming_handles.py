"""What every executor does for tasks that take a handle, whoever wrote it."""

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import LogSource, ResultStatus
from cloacina_sdk.asking import Checkpoint, Park, Reply, Unpark
from cloacina_sdk.changes import Changes
from cloacina_sdk.mapped import Element
from cloacina_sdk.waiting import Memory, PassedWait, Wait, WaitKind
from engine.executors.benches import CAPACITY, Bench, a_bench
from engine.executors.gate import Gate

NEW = Memory()
CAME = PassedWait(kind=WaitKind.EVENT, name="go", payload='["é"]')
GAVE_UP = PassedWait(kind=WaitKind.EVENT, name="go", is_timed_out=True)
KEPT = Checkpoint(text='{"é":1}')


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


def goes_on(bench: Bench) -> bool:
    """Whether attempts run after all that happened, and nothing is left over."""
    done = bench.run("adds", {"a": 1, "b": 1}).status is ResultStatus.SUCCEEDED
    return done and nothing_more(bench) and bench.executor.metrics().active == 0


def test_a_run_that_ends_to_wait_is_reported_with_its_wait(bench: Bench) -> None:
    result = bench.run("remembers", memory=NEW)
    assert result.status is ResultStatus.DEFERRED
    assert result.outcome == Wait.event("go", timeout_ms=3_600_000)
    metrics = bench.executor.metrics()
    assert (metrics.total_deferred, metrics.total_succeeded, metrics.total_failed) == (1, 0, 0)
    assert (metrics.active, (metrics.average_duration_s or 0) > 0) == (0, True)


def test_a_run_goes_on_from_what_earlier_ones_left(bench: Bench) -> None:
    result = bench.run("remembers", memory=Memory(waits=(CAME,), checkpoint='"é"'))
    assert isinstance(result.outcome, Changes)
    key = f'"e{result.token.removeprefix("token-")}/remembers"'
    assert result.outcome.assigned == {"before": '"é"', "key": key, "got": '["é"]'}


def test_a_wait_that_was_given_up_fails_the_attempt_and_is_not_transient(bench: Bench) -> None:
    failure = bench.run("remembers", memory=Memory(waits=(GAVE_UP,))).failure
    assert failure is not None
    assert failure.error_type == "cloacina_sdk.errors.WaitTimedOutError"
    assert "TimeoutError" in failure.error_types
    assert not failure.is_transient


@pytest.mark.parametrize("memory", [NEW, Memory(waits=(PassedWait(kind=WaitKind.TIME),))])
def test_a_body_that_does_not_keep_to_its_waits_fails_for_good(
    bench: Bench, memory: Memory
) -> None:
    failure = bench.run("swallows", memory=memory).failure
    assert failure is not None
    assert failure.is_fatal
    assert goes_on(bench)


def test_elements_have_handles_and_keys_of_their_own(bench: Bench) -> None:
    element = Element(index=3, text='"é"', result_key="out")
    assert bench.run("each_waits", memory=NEW, element=element).outcome == Wait.event("go")
    result = bench.run("each_waits", memory=Memory(waits=(CAME,)), element=element)
    assert isinstance(result.outcome, Changes)
    key = f"e{result.token.removeprefix('token-')}/each_waits/3"
    assert result.outcome.assigned == {"out": f'["é","{key}",["é"]]'}


def test_a_body_that_asks_goes_on_with_the_answer(bench: Bench) -> None:
    bench.hold(Checkpoint)
    token = bench.start("remembers", memory=NEW)
    answer = bench.ask(KEPT, token)
    assert nothing_more(bench)
    assert bench.lines.empty()
    answer(Reply.DONE)
    assert bench.result().status is ResultStatus.DEFERRED
    said_by, line = bench.lines.get_nowait()
    assert (said_by, line.source, line.text) == (token, LogSource.PROGRESS, "0.5")


def test_a_body_whose_attempt_is_lost_ends(bench: Bench) -> None:
    bench.hold(Checkpoint)
    token = bench.start("remembers", memory=NEW)
    bench.ask(KEPT, token)(Reply.LOST)
    failure = bench.result().failure
    assert failure is not None
    assert failure.error_type == "cloacina_sdk.unwinding.AttemptStopped"
    assert goes_on(bench)


def test_what_waits_for_a_function_takes_no_place(bench: Bench, gate: Gate, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    bench.hold(Unpark)
    parked = {bench.start("polls", {"flag": str(flag)}, memory=NEW) for _ in range(CAPACITY)}
    assert {bench.next_ask()[0] for _ in parked} == parked
    running = {bench.start("waits", gate.values) for _ in range(CAPACITY)}
    gate.await_begun(CAPACITY)
    assert bench.executor.metrics().active == 2 * CAPACITY
    gate.let_go(CAPACITY)
    assert {bench.result().token for _ in running} == running
    flag.touch()
    for _ in parked:
        _, ask, answer = bench.next_ask()
        assert ask == Unpark()
        answer(Reply.DONE)
    results = [bench.result() for _ in parked]
    assert {result.token for result in results} == parked
    expected = Changes(assigned={"held": "true"}, removed=frozenset())
    assert [result.outcome for result in results] == [expected] * CAPACITY
    tokens = {bench.start("waits", gate.values) for _ in range(CAPACITY)}
    gate.await_begun(CAPACITY)
    gate.let_go(CAPACITY)
    assert {bench.result().token for _ in tokens} == tokens
    assert goes_on(bench)


def test_what_is_true_at_once_asks_for_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.run("polls", {"flag": str(tmp_path)}, memory=NEW).outcome == Changes(
        assigned={"held": "true"}, removed=frozenset()
    )
    assert bench.asks.empty()


def test_a_body_sees_that_it_is_to_end(bench: Bench, gate: Gate) -> None:
    token = bench.start("watches", gate.values, memory=NEW)
    gate.await_begun()
    bench.executor.cancel(token, is_kill=False)
    result = bench.result()
    assert isinstance(result.outcome, Changes)
    assert result.outcome.assigned == {"saw": "true"}
    assert goes_on(bench)


@pytest.mark.parametrize("at", [Park(), Unpark()], ids=["parking", "unparking"])
def test_a_body_that_waits_for_an_answer_is_told_to_end(
    bench: Bench, tmp_path: Path, at: Park | Unpark
) -> None:
    flag = tmp_path / "flag"
    bench.hold(type(at))
    token = bench.start("polls", {"flag": str(flag)}, memory=NEW)
    if at == Unpark():
        bench.ask(Park(), token)
        flag.touch()
    answer = bench.ask(at, token)
    bench.executor.cancel(token, is_kill=False)
    result = bench.result()
    assert (result.token, result.status) == (token, ResultStatus.FAILED)
    for reply in (Reply.DONE, Reply.LOST):
        answer(reply)  # too late
    assert goes_on(bench)


def test_a_parked_body_is_told_to_end(bench: Bench) -> None:
    bench.hold(Park)
    token = bench.start("stays_parked", memory=NEW)
    bench.ask(Park(), token)(Reply.DONE)
    bench.executor.cancel(token, is_kill=False)
    result = bench.result()
    assert (result.token, result.status) == (token, ResultStatus.FAILED)
    assert bench.asks.empty()
    assert goes_on(bench)


def test_a_body_that_waits_for_an_answer_is_killed_where_the_executor_says_so(
    bench: Bench,
) -> None:
    if not bench.executor.can_kill:
        pytest.skip("it kills nothing")
    bench.hold(Checkpoint)
    token = bench.start("remembers", memory=NEW)
    answer = bench.ask(KEPT, token)
    bench.executor.cancel(token, is_kill=True)
    result = bench.result()
    assert (result.token, result.status) == (token, ResultStatus.FAILED)
    answer(Reply.DONE)
    assert goes_on(bench)


@pytest.mark.parametrize("is_parked", [True, False], ids=["parked", "asking"])
def test_it_closes_while_a_body_waits(bench: Bench, is_parked: bool) -> None:
    bench.hold(Park, Checkpoint)
    token = bench.start("stays_parked" if is_parked else "remembers", memory=NEW)
    answer = bench.ask(Park() if is_parked else KEPT, token)
    if is_parked:
        answer(Reply.DONE)
    bench.close(0.05)
    result = bench.result()
    assert (result.token, result.status) == (token, ResultStatus.FAILED)
    answer(Reply.DONE)
    assert nothing_more(bench)


def test_an_attempt_that_is_cancelled_before_it_begins_ends_where_it_would_wait(
    bench: Bench, gate: Gate
) -> None:
    running = {bench.start("waits", gate.values) for _ in range(CAPACITY)}
    gate.await_begun(CAPACITY)
    token = bench.start("stays_parked", memory=NEW)
    bench.executor.cancel(token, is_kill=False)
    gate.let_go(CAPACITY)
    results = {bench.result().token for _ in range(CAPACITY + 1)}
    assert results == {*running, token}
    assert goes_on(bench)
