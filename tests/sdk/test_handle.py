"""The handle of a sync body, on an engine in memory."""

import copy
import math
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from cloacina_sdk import AttemptStopped, Context, Fatal, SentEvent, TaskHandle, WaitTimedOutError
from cloacina_sdk.any_handle import attempt_key
from cloacina_sdk.asking import Ask, Park, Reply, Unpark
from cloacina_sdk.changes import Changes
from cloacina_sdk.errors import (
    CheckpointTooLargeError,
    HandleMisuseError,
    InvalidContextValueError,
    InvalidProgressError,
    InvalidWaitError,
)
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.unwinding import ChangedCourseError, SwallowedDeferralError
from cloacina_sdk.waiting import LARGEST_CHECKPOINT_BYTES, Wait, WaitKind
from sdk.ports import TIME_PASSED, SyncEngine, came, gave_up, held, in_turn


def failure(body: Callable[..., object], *waits: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is, the caller looks
        SyncEngine().run(body, *waits)
    return caught.value


def assigned(outcome: Changes | Wait) -> dict[str, str]:
    assert isinstance(outcome, Changes), outcome
    return dict(outcome.assigned)


def three_waits(context: Context, handle: TaskHandle) -> None:
    handle.defer_until(timedelta(hours=1))
    context["answer"] = handle.wait_event("approved", timeout="3d")
    handle.defer_until("stock", poll_interval="30s")
    context["done"] = True


def test_a_run_ends_at_the_first_wait_that_lies_ahead() -> None:
    engine = SyncEngine()
    assert engine.run(three_waits) == Wait.delay(3_600_000)
    approval = Wait.event("approved", timeout_ms=3 * 24 * 3_600_000)
    assert engine.run(three_waits, TIME_PASSED) == approval
    stock = Wait.condition("stock", poll_ms=30_000)
    assert engine.run(three_waits, TIME_PASSED, came("approved", '{"by":"me"}')) == stock
    outcome = engine.run(three_waits, TIME_PASSED, came("approved", '{"by":"me"}'), held("stock"))
    assert assigned(outcome) == {"answer": '{"by":"me"}', "done": "true"}
    assert engine.asks == []


def test_an_event_with_nothing_is_none() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        context["got"] = handle.wait_event("go")

    assert assigned(SyncEngine().run(body, came("go"))) == {"got": "null"}


def test_what_a_run_changed_is_lost_when_it_waits() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        context["seen"] = True
        handle.wait_event("go")

    assert SyncEngine().run(body) == Wait.event("go")


def test_a_wait_that_was_given_up_raises_there_and_may_be_caught() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        try:
            handle.wait_event("go", timeout=2)
        except WaitTimedOutError as error:
            context["why"] = str(error)
        handle.defer_until("rain")

    assert SyncEngine().run(body, gave_up("go")) == Wait.condition("rain", poll_ms=1000)
    outcome = SyncEngine().run(body, gave_up("go"), held("rain"))
    assert assigned(outcome) == {"why": "\"The wait for the event 'go' was given up after 2 s\""}
    error = failure(body, gave_up("go"), gave_up("rain", WaitKind.CONDITION))
    assert isinstance(error, TimeoutError)
    assert not failure_of(error).is_transient


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ([came("other")], "number 1 was for the event 'other', and now is for the event 'go'"),
        ([held("go")], "number 1 was for the condition 'go', and now is for the event 'go'"),
        ([TIME_PASSED], "number 1 was for a time, and now is for the event 'go'"),
    ],
)
def test_a_body_that_takes_another_way_fails_for_good(waits: list[Any], said: str) -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        handle.wait_event("go")

    def careless(context: Context, handle: TaskHandle) -> None:
        for _ in range(2):
            with suppress(Exception):
                handle.wait_event("go")
        raise ValueError("something else")

    for each in (body, careless):
        error = failure(each, *waits)
        assert isinstance(error, ChangedCourseError)
        assert isinstance(error, Fatal)
        assert said in str(error)


def test_times_may_differ_from_run_to_run() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        handle.defer_until(timedelta(hours=len(seen)))
        seen.append("passed")

    seen: list[str] = []
    assert SyncEngine().run(body) == Wait.delay(0)
    SyncEngine().run(body, TIME_PASSED)
    assert seen == ["passed"]


def swallows_all(context: Context, handle: TaskHandle) -> None:
    try:
        handle.wait_event("go")
    except:  # noqa: E722 - that is the point
        context["done"] = True


def returns_in_finally(context: Context, handle: TaskHandle) -> Context:
    try:
        handle.wait_event("go")
    finally:
        return context  # noqa: B012 - that is the point


def goes_on_waiting(context: Context, handle: TaskHandle) -> None:
    with suppress(BaseException):
        handle.wait_event("go")
    with suppress(BaseException):
        handle.defer_until("rain")


@pytest.mark.parametrize("body", [swallows_all, returns_in_finally, goes_on_waiting])
@pytest.mark.filterwarnings("ignore:'return' in a 'finally' block:SyntaxWarning")
def test_a_body_that_swallows_the_end_of_its_run_fails_for_good(body: Any) -> None:
    error = failure(body)
    assert isinstance(error, SwallowedDeferralError)
    assert failure_of(error).is_fatal
    assert "wait for the event 'go'" in str(error)


def test_the_end_of_a_run_may_pass_through_handlers() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        try:
            with suppress(Exception):
                handle.wait_event("go")
        except BaseException:
            handle.checkpoint("cleaned up")
            raise
        finally:
            handle.heartbeat(1)

    engine = SyncEngine()
    assert engine.run(body) == Wait.event("go")
    assert engine.checkpoints == ['"cleaned up"']


def test_another_error_on_the_way_out_is_the_failure_and_says_where() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        try:
            handle.wait_event("go")
        finally:
            raise OSError("the disk is round")

    error = failure(body)
    assert isinstance(error, OSError)
    assert "it was raised while the run ends to wait for the event 'go'" in (
        failure_of(error).traceback
    )


def test_a_deferral_in_a_group_is_one() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        try:
            handle.wait_event("go")
        except BaseException as error:  # noqa: BLE001 - as a group of tasks does
            raise BaseExceptionGroup("tasks", [BaseExceptionGroup("inner", [error])]) from None

    assert SyncEngine().run(body) == Wait.event("go")


def test_a_deferral_of_somebody_elses_making_is_a_failure() -> None:
    from cloacina_sdk.unwinding import Deferred

    def body(context: Context, handle: TaskHandle) -> None:
        raise Deferred(Wait.event("mine"))

    assert isinstance(failure(body), HandleMisuseError)


def test_checkpoints_are_asked_for_and_those_of_earlier_runs_seen() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        before = handle.last_checkpoint
        assert isinstance(before, dict)
        handle.checkpoint({"n": [1, None, "é"]})
        context["before"] = before
        assert handle.last_checkpoint == before

    engine = SyncEngine()
    assert assigned(engine.run(body, checkpoint='{"n":0}')) == {"before": '{"n":0}'}
    assert engine.checkpoints == ['{"n":[1,null,"é"]}']


def test_without_a_checkpoint_there_is_none() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        context["none"] = handle.last_checkpoint

    assert assigned(SyncEngine().run(body)) == {"none": "null"}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({1, 2}, InvalidContextValueError),
        (math.nan, InvalidContextValueError),
        ({1: 2}, InvalidContextValueError),
        ("\ud800", InvalidContextValueError),
        ("é" * (LARGEST_CHECKPOINT_BYTES // 2), CheckpointTooLargeError),
    ],
)
def test_what_cannot_be_kept_is_refused_and_not_asked_for(
    value: Any, error: type[Exception]
) -> None:
    engine = SyncEngine()
    with pytest.raises(error):
        engine.run(lambda context, handle: handle.checkpoint(value))
    assert engine.asks == []


def test_a_checkpoint_just_below_the_limit_is_kept() -> None:
    engine = SyncEngine()
    engine.run(lambda context, handle: handle.checkpoint("x" * (LARGEST_CHECKPOINT_BYTES - 2)))
    assert len(engine.asks) == 1


def test_a_function_that_is_true_at_once_gives_up_no_slot() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        handle.defer_until(lambda: [0])
        context["held"] = handle.is_slot_held()

    engine = SyncEngine()
    assert assigned(engine.run(body)) == {"held": "true"}
    assert engine.asks == []
    assert engine.slept_s == []


def test_a_function_is_called_at_intervals_without_a_slot_until_it_is_true() -> None:
    found = in_turn([0, None, "", "yes"])
    slots: list[bool] = []

    def body(context: Context, handle: TaskHandle) -> None:
        def condition() -> object:
            slots.append(handle.is_slot_held())
            return found()

        handle.defer_until(condition, poll_interval="2s")
        slots.append(handle.is_slot_held())

    engine = SyncEngine()
    engine.run(body)
    assert slots == [True, False, False, False, True]
    assert engine.slept_s == [2, 2, 2]
    assert engine.asks == [Park(), Unpark()]


def test_what_a_function_raises_goes_on_with_a_slot() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        with pytest.raises(ValueError, match="no luck"):
            handle.defer_until(in_turn([False, ValueError("no luck")]))
        context["held"] = handle.is_slot_held()
        with pytest.raises(ValueError, match="at once"):
            handle.defer_until(in_turn([ValueError("at once")]))

    engine = SyncEngine()
    assert assigned(engine.run(body)) == {"held": "true"}
    assert engine.asks == [Park(), Unpark()]


def test_what_has_no_truth_raises_as_it_does_everywhere() -> None:
    class Undecided:
        def __bool__(self) -> bool:
            raise ZeroDivisionError

    engine = SyncEngine()
    with pytest.raises(ZeroDivisionError):
        engine.run(lambda context, handle: handle.defer_until(in_turn([False, Undecided()])))
    assert engine.asks == [Park(), Unpark()]


def test_a_function_is_given_up_after_a_last_look() -> None:
    calls: list[float] = []

    def body(context: Context, handle: TaskHandle) -> None:
        def condition() -> bool:
            calls.append(engine.now_s)
            return False

        with pytest.raises(WaitTimedOutError, match=r"condition\(\) was given up after 2.5 s"):
            handle.defer_until(condition, poll_interval=1, timeout=2.5)
        assert handle.is_slot_held()

    engine = SyncEngine()
    engine.run(body)
    assert calls == [0, 1, 2, 2.5]
    assert engine.asks == [Park(), Unpark()]


def test_no_time_at_all_is_one_look() -> None:
    engine = SyncEngine()
    with pytest.raises(WaitTimedOutError):
        engine.run(lambda context, handle: handle.defer_until(lambda: False, timeout=0))
    assert engine.asks == []


def test_an_async_function_in_a_sync_body_is_refused_and_closed() -> None:
    async def condition() -> bool:
        return True

    engine = SyncEngine()
    with pytest.raises(InvalidWaitError, match="declare the task `async def`"):
        engine.run(lambda context, handle: handle.defer_until(condition))
    with pytest.raises(InvalidWaitError, match="without calling it"):
        engine.run(lambda context, handle: handle.defer_until(condition()))
    assert engine.asks == []


def test_a_function_cannot_wait_but_may_keep_a_checkpoint() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        def condition() -> bool:
            handle.checkpoint(1)
            handle.wait_event("inner")
            return True

        handle.defer_until(condition)

    engine = SyncEngine()
    with pytest.raises(HandleMisuseError, match="cannot wait itself"):
        engine.run(body)
    assert engine.names == ["Checkpoint"]


@pytest.mark.parametrize("lost", [Reply.LOST, None])
@pytest.mark.parametrize("at", ["Checkpoint", "Park", "Unpark"])
def test_an_attempt_that_is_lost_or_cancelled_stops_at_what_it_asked(
    at: str, lost: Reply | None
) -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        try:
            handle.checkpoint(1)
            handle.defer_until(in_turn([False, True]))
        except AttemptStopped:
            assert handle.is_cancelled()
            with pytest.raises(AttemptStopped):
                handle.checkpoint(2)
            with pytest.raises(AttemptStopped):
                handle.defer_until(lambda: False)
            raise

    engine = SyncEngine()
    engine.answer = lambda ask: lost if type(ask).__name__ == at else Reply.DONE
    with pytest.raises(AttemptStopped):
        engine.run(body)
    expected = ["Checkpoint", "Park", "Unpark"]
    assert engine.names == expected[: expected.index(at) + 1]


def test_cancelling_reaches_a_body_between_two_looks() -> None:
    calls: list[int] = []

    def cancel() -> None:
        engine.is_cancelling = True

    def body(context: Context, handle: TaskHandle) -> None:
        handle.defer_until(lambda: calls.append(1))

    engine = SyncEngine()
    engine.on_sleep = cancel
    with pytest.raises(AttemptStopped):
        engine.run(body)
    assert (calls, engine.asks) == ([1], [Park()])


def test_a_cancelled_attempt_does_not_wait_but_may_look_back_and_keep() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        assert handle.is_cancelled()
        assert handle.wait_event("first") == 1
        handle.checkpoint("so far")
        handle.wait_event("second")

    engine = SyncEngine()
    engine.is_cancelling = True
    with pytest.raises(AttemptStopped):
        engine.run(body, came("first", "1"))
    assert engine.checkpoints == ['"so far"']


def test_progress_is_passed_on_about_once_a_second() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        for eighth in range(9):
            assert handle.heartbeat(eighth / 8) is False
            engine.now_s += 0.25
        engine.is_cancelling = True
        assert handle.heartbeat() is True

    engine = SyncEngine()
    engine.run(body)
    assert engine.progress == [0, 0.5, 1]


@pytest.mark.parametrize("progress", [-0.1, 1.1, 57, math.nan, math.inf, True, "0.5"])
def test_progress_is_a_share_of_the_whole(progress: Any) -> None:
    engine = SyncEngine()
    with pytest.raises(InvalidProgressError):
        engine.run(lambda context, handle: handle.heartbeat(progress))
    assert engine.progress == []


def test_the_key_is_that_of_the_task_or_the_element() -> None:
    assert attempt_key("e", "t") == "e/t"
    assert attempt_key("e", "t", Element(index=7, text="1", result_key="k")) == "e/t/7"

    def body(context: Context, handle: TaskHandle) -> None:
        context["key"] = handle.attempt_key

    assert assigned(SyncEngine().run(body)) == {"key": '"e/t"'}


USES: list[Callable[[TaskHandle], object]] = [
    lambda handle: handle.wait_event("go"),
    lambda handle: handle.defer_until(timedelta(1)),
    lambda handle: handle.defer_until(lambda: True),
    lambda handle: handle.checkpoint(1),
]


@pytest.mark.parametrize("use", USES)
def test_a_handle_is_of_no_use_after_its_attempt(use: Callable[[TaskHandle], object]) -> None:
    kept: list[TaskHandle] = []
    engine = SyncEngine()
    engine.run(lambda context, handle: kept.append(handle), came("go"))
    with pytest.raises(HandleMisuseError, match="has ended"):
        use(kept[0])
    assert kept[0].heartbeat(0.5)  # a thread that was left behind is to end
    assert engine.asks == []
    assert engine.progress == []


@pytest.mark.parametrize("use", USES)
def test_only_the_bodys_own_thread_may_wait_and_keep(use: Callable[[TaskHandle], object]) -> None:
    errors: list[BaseException] = []

    def body(context: Context, handle: TaskHandle) -> None:
        def beside() -> None:
            assert not handle.heartbeat(0.5)
            try:
                use(handle)
            except BaseException as error:  # noqa: BLE001 - a deferral would be one
                errors.append(error)

        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()

    engine = SyncEngine()
    assert assigned(engine.run(body)) == {}
    assert isinstance(errors[0], HandleMisuseError)
    assert (engine.asks, engine.progress) == ([], [0.5])


@pytest.mark.parametrize(
    "use", [*USES, lambda handle: handle.is_cancelled(), lambda handle: handle.heartbeat(0.1)]
)
def test_a_forked_child_is_told_so(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[TaskHandle], object]
) -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(HandleMisuseError, match="forked"):
                use(handle)

    engine = SyncEngine()
    engine.run(body)
    assert engine.asks == []
    assert engine.progress == []


def test_a_handle_is_no_data() -> None:
    handle = SyncEngine().handle()
    for use in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is no data"):
            use(handle)
    with pytest.raises(TypeError):
        TaskHandle()  # type: ignore[call-arg]  # nobody but an executor makes one


def test_a_wait_that_cannot_be_is_not_one_of_the_bodys() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        with pytest.raises(InvalidWaitError):
            handle.defer_until(3600)  # type: ignore[arg-type]  # that is the point
        with pytest.raises(InvalidWaitError):
            handle.wait_event("")
        handle.defer_until(SentEvent("go"))

    assert SyncEngine().run(body, came("go")) == Changes(assigned={}, removed=frozenset())


def test_values_come_back_as_they_went() -> None:
    value: JsonValue = {"a": [1.5, None, {"é": "\u2028"}]}

    def stores(context: Context, handle: TaskHandle) -> None:
        handle.checkpoint(value)

    def reads(context: Context, handle: TaskHandle) -> None:
        assert handle.last_checkpoint == value
        assert handle.last_checkpoint is not handle.last_checkpoint

    def no_more(ask: Ask) -> Reply:
        return Reply.DONE

    engine = SyncEngine()
    engine.answer = no_more
    engine.run(stores)
    engine.run(reads, checkpoint=engine.checkpoints[0])


def test_the_interval_may_come_second_as_milliseconds() -> None:
    def body(context: Context, handle: TaskHandle) -> None:
        handle.defer_until(in_turn([False, True]), 500)

    engine = SyncEngine()
    engine.run(body)
    assert engine.slept_s == [0.5]
