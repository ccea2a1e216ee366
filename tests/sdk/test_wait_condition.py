"""What a body may wait for, as it writes it."""

import asyncio
import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from cloacina_sdk.errors import InvalidDurationError, InvalidWaitError
from cloacina_sdk.wait_condition import Poll, SentEvent, read_condition
from cloacina_sdk.waiting import LATEST_US, LONGEST_MS, Wait


def read(condition: object, **options: Any) -> Wait | Poll:
    given = {"poll_interval": None, "poll_interval_ms": None, "timeout": None, **options}
    return read_condition(condition, **given)


@pytest.mark.parametrize(
    ("moment", "moment_us"),
    [
        (datetime(1970, 1, 1, 0, 0, 0, 7, tzinfo=UTC), 7),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        (datetime(1969, 1, 1, tzinfo=UTC), 0),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), 0),
        (datetime.max.replace(tzinfo=UTC), LATEST_US),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), LATEST_US),
    ],
)
def test_an_aware_datetime_is_a_moment(moment: datetime, moment_us: int) -> None:
    assert read(moment) == Wait.until(moment_us)


def test_a_timedelta_is_a_delay() -> None:
    assert read(timedelta(hours=1)) == Wait.delay(3_600_000)
    assert read(timedelta()) == Wait.delay(0)


def test_a_text_is_a_condition_and_an_event_is_an_event() -> None:
    assert read("rain") == Wait.condition("rain", poll_ms=1000)
    options = {"poll_interval": "30s", "timeout": timedelta(hours=2)}
    assert read("rain", **options) == Wait.condition("rain", poll_ms=30_000, timeout_ms=7_200_000)
    assert read("rain", poll_interval_ms=1).poll_ms == 1
    assert read(SentEvent("go"), timeout=0) == Wait.event("go", timeout_ms=0)


def test_a_function_is_called_in_place() -> None:
    wait = read(print, poll_interval=0.5)
    assert wait == Poll(condition=print, poll_ms=500, timeout_ms=None)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (datetime(2030, 1, 1), "no time zone"),
        (date(2030, 1, 1), "a date is no moment"),
        (timedelta(days=36_601), "at most a hundred years"),
        (5, r"timedelta\(seconds=5\)"),
        (0.5, r"timedelta\(seconds=0.5\)"),
        (True, "pass the function that finds it out"),
        (None, "nothing to wait for; wait for an aware datetime"),
        (b"rain", "nothing to wait for"),
        ("", "1 to 200 characters"),
        ("x" * 201, "1 to 200 characters"),
        ("a\0b", "1 to 200 characters"),
        ("\ud800", "1 to 200 characters"),
        ("30s", "reads as a duration"),
        (["rain"], "nothing to wait for"),
    ],
)
def test_what_is_nothing_to_wait_for_is_refused(condition: object, reason: str) -> None:
    with pytest.raises(InvalidWaitError, match=reason):
        read(condition)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0", None, 5])
def test_an_event_has_a_name(name: Any) -> None:
    with pytest.raises(InvalidWaitError, match="1 to 200 characters"):
        SentEvent(name)


def test_a_coroutine_is_refused_and_closed() -> None:
    async def later() -> bool:
        return True

    with pytest.raises(InvalidWaitError, match="without calling it"):
        read(later())  # a coroutine that nobody awaits is a warning, and so a failure here
    loop = asyncio.new_event_loop()
    with pytest.raises(InvalidWaitError, match="without calling it"):
        read(loop.create_future())
    loop.close()


@pytest.mark.parametrize(
    ("option", "given", "error"),
    [
        ("poll_interval", 0, InvalidWaitError),
        ("poll_interval", 0.0001, InvalidWaitError),
        ("poll_interval", -1, InvalidDurationError),
        ("poll_interval", math.nan, InvalidDurationError),
        ("poll_interval", math.inf, InvalidDurationError),
        ("poll_interval", LONGEST_MS, InvalidWaitError),
        ("poll_interval", 2**80, InvalidDurationError),
        ("poll_interval", True, InvalidDurationError),
        ("poll_interval", "soon", InvalidDurationError),
        ("poll_interval_ms", 0, InvalidWaitError),
        ("poll_interval_ms", -5, InvalidWaitError),
        ("poll_interval_ms", 1.5, InvalidWaitError),
        ("poll_interval_ms", math.nan, InvalidWaitError),
        ("poll_interval_ms", True, InvalidWaitError),
        ("poll_interval_ms", 2**80, InvalidWaitError),
        ("timeout", -1, InvalidDurationError),
        ("timeout", math.nan, InvalidDurationError),
        ("timeout", timedelta(days=-1), InvalidDurationError),
        ("timeout", timedelta.max, InvalidDurationError),
        ("timeout", timedelta(days=40_000), InvalidWaitError),
        ("timeout", "never", InvalidDurationError),
    ],
)
@pytest.mark.parametrize("condition", ["rain", print], ids=["name", "function"])
def test_times_that_cannot_be_are_refused(
    condition: object, option: str, given: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(condition, **{option: given})


def test_options_that_say_nothing_are_refused() -> None:
    with pytest.raises(InvalidWaitError, match="not both"):
        read("rain", poll_interval=1, poll_interval_ms=1)
    with pytest.raises(InvalidWaitError, match="says nothing about a wait for a time"):
        read(timedelta(1), timeout=5)
    with pytest.raises(InvalidWaitError, match="says nothing about a wait for an event"):
        read(SentEvent("go"), poll_interval=5)
