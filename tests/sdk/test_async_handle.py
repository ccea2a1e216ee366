"""The handle of an async body: what differs from that of a sync one."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloacina_sdk import AsyncTaskHandle, AttemptStopped, Context, WaitTimedOutError
from cloacina_sdk.asking import Ask, Park, Reply, Unpark
from cloacina_sdk.changes import Changes
from cloacina_sdk.errors import HandleMisuseError
from cloacina_sdk.unwinding import SwallowedDeferralError
from cloacina_sdk.waiting import Wait
from sdk.ports import AsyncEngine, came, in_turn


def assigned(outcome: Changes | Wait) -> dict[str, str]:
    assert isinstance(outcome, Changes), outcome
    return dict(outcome.assigned)


def test_waits_and_checkpoints_are_awaited() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        await handle.checkpoint("asked")
        context["got"] = await handle.wait_event("approved")
        await handle.defer_until(timedelta(hours=1))

    engine = AsyncEngine()
    assert engine.run(body) == Wait.event("approved")
    assert engine.run(body, came("approved", "[1]")) == Wait.delay(3_600_000)
    assert engine.checkpoints == ['"asked"', '"asked"']


def test_a_function_may_be_async_or_not() -> None:
    found = in_turn([False, False, True])

    async def awaited() -> object:
        await asyncio.sleep(0)
        return found()

    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        await handle.defer_until(awaited, poll_interval=2)
        await handle.defer_until(in_turn([False, 1]), poll_interval=3)
        assert handle.is_slot_held()

    engine = AsyncEngine()
    engine.run(body)
    assert engine.slept_s == [2, 2, 3]
    assert engine.asks == [Park(), Unpark(), Park(), Unpark()]


def test_what_it_raises_and_its_timeout_go_on_with_a_slot() -> None:
    async def never() -> bool:
        return False

    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        with pytest.raises(ValueError, match="no luck"):
            await handle.defer_until(in_turn([False, ValueError("no luck")]))
        with pytest.raises(WaitTimedOutError, match="never"):
            await handle.defer_until(never, timeout=1.5)
        assert handle.is_slot_held()

    engine = AsyncEngine()
    engine.run(body)
    assert engine.asks == [Park(), Unpark(), Park(), Unpark()]


def test_a_deferral_inside_a_group_of_tasks_ends_the_run() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            await handle.wait_event("go")

    assert AsyncEngine().run(body) == Wait.event("go")


def test_a_time_limit_of_the_bodys_own_ends_a_wait_with_a_slot() -> None:
    async def limited(handle: AsyncTaskHandle) -> None:
        async with asyncio.timeout(None) as limit:
            engine.on_sleep = lambda: limit.reschedule(asyncio.get_running_loop().time())
            await handle.defer_until(lambda: False)

    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        with pytest.raises(TimeoutError):
            await limited(handle)
        assert handle.is_slot_held()
        await handle.checkpoint("on")

    engine = AsyncEngine()
    engine.run(body)
    assert engine.names == ["Park", "Unpark", "Checkpoint"]


@pytest.mark.parametrize("at", ["Park", "Unpark", "Checkpoint"])
def test_a_time_limit_strikes_after_the_answer(at: str) -> None:
    async def asks(handle: AsyncTaskHandle) -> None:
        await handle.checkpoint(1)
        await handle.defer_until(in_turn([False, True]))

    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        task = asyncio.current_task()
        assert task is not None

        def strike(ask: Ask) -> Reply:
            if type(ask).__name__ == at:
                engine.answer = lambda _ask: Reply.DONE
                task.cancel()
            return Reply.DONE

        engine.answer = strike
        with pytest.raises(asyncio.CancelledError):
            await asks(handle)
        task.uncancel()
        assert handle.is_slot_held()
        await handle.checkpoint("on")

    engine = AsyncEngine()
    assert assigned(engine.run(body)) == {}
    expected = ["Checkpoint", "Park", "Unpark", "Checkpoint"]
    assert engine.names == (["Checkpoint", "Checkpoint"] if at == "Checkpoint" else expected)


def test_an_attempt_that_is_cancelled_waits_for_no_answer() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        task = asyncio.current_task()
        assert task is not None

        def never(ask: Ask) -> None:
            engine.is_cancelling = True
            task.cancel()

        engine.answer = never
        await handle.defer_until(lambda: False)

    engine = AsyncEngine()
    with pytest.raises(asyncio.CancelledError):
        engine.run(body)
    assert engine.asks == [Park()]


def test_an_attempt_that_is_cancelled_leaves_without_a_slot() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            engine.is_cancelling = True
            task.cancel()

        engine.on_sleep = cancel
        await handle.defer_until(lambda: False)

    engine = AsyncEngine()
    with pytest.raises(asyncio.CancelledError):
        engine.run(body)
    assert engine.asks == [Park()]


def test_an_attempt_that_is_lost_stops() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        await handle.defer_until(in_turn([False, True]))

    engine = AsyncEngine()
    engine.answer = lambda ask: Reply.LOST if ask == Unpark() else Reply.DONE
    with pytest.raises(AttemptStopped):
        engine.run(body)


def test_a_body_that_swallows_the_end_of_its_run_fails_for_good() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        await asyncio.gather(handle_it(handle), return_exceptions=True)

    async def handle_it(handle: AsyncTaskHandle) -> None:
        await handle.wait_event("go")

    async def swallows(context: Context, handle: AsyncTaskHandle) -> None:
        try:
            await handle.wait_event("go")
        except BaseException:  # noqa: BLE001 - that is the point
            return

    with pytest.raises(SwallowedDeferralError):
        AsyncEngine().run(swallows)
    assert assigned(AsyncEngine().run(body)) == {}  # another task cannot wait in its place


USES: list[Callable[[AsyncTaskHandle], Any]] = [
    lambda handle: handle.wait_event("go"),
    lambda handle: handle.defer_until(lambda: True),
    lambda handle: handle.checkpoint(1),
]


@pytest.mark.parametrize("use", USES)
def test_only_the_bodys_own_task_may_wait_and_keep(use: Callable[[AsyncTaskHandle], Any]) -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        def beside() -> None:
            asyncio.run(use(handle))

        for elsewhere in (asyncio.create_task(use(handle)), asyncio.to_thread(beside)):
            with pytest.raises(HandleMisuseError, match="asyncio task"):
                await elsewhere

    engine = AsyncEngine()
    engine.run(body)
    assert engine.asks == []


@pytest.mark.parametrize("use", USES)
def test_a_handle_is_of_no_use_after_its_attempt(use: Callable[[AsyncTaskHandle], Any]) -> None:
    kept: list[AsyncTaskHandle] = []

    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        kept.append(handle)

    AsyncEngine().run(body)
    with pytest.raises(HandleMisuseError, match="has ended"):
        asyncio.run(use(kept[0]))
    assert kept[0].is_cancelled()


@pytest.mark.parametrize(
    ("forget", "name"),
    [
        (lambda handle: handle.checkpoint(1), "checkpoint"),
        (lambda handle: handle.defer_until(timedelta(hours=1)), "defer_until"),
        (lambda handle: handle.wait_event("approved"), "wait_event"),
    ],
)
def test_a_call_that_was_not_awaited_fails_the_attempt(
    forget: Callable[[AsyncTaskHandle], object], name: str
) -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        forget(handle)

    async def waits(context: Context, handle: AsyncTaskHandle) -> None:
        forget(handle)
        await handle.checkpoint("kept")
        await handle.wait_event("another")

    for each in (body, waits):
        with pytest.raises(HandleMisuseError, match=rf"write await handle\.{name}\("):
            AsyncEngine().run(each)


def test_the_error_of_a_body_stays_with_a_note_of_what_was_not_awaited() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        handle.checkpoint(1)  # type: ignore[unused-coroutine]  # on purpose
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own") as caught:
        AsyncEngine().run(body)
    assert caught.value.__notes__ == ["(and handle.checkpoint() was never awaited)"]


def test_a_call_may_be_awaited_later_than_it_was_made() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        kept = handle.checkpoint(1)
        for number in range(5):
            await handle.checkpoint(number)
        await kept

    engine = AsyncEngine()
    engine.run(body)
    assert engine.checkpoints == ["0", "1", "2", "3", "4", "1"]


def test_the_interval_may_come_second_as_milliseconds() -> None:
    async def body(context: Context, handle: AsyncTaskHandle) -> None:
        await handle.defer_until(in_turn([False, True]), 500)

    engine = AsyncEngine()
    engine.run(body)
    assert engine.slept_s == [0.5]
