"""What a body may wait for, as it writes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDurationError, InvalidWaitError
from cloacina_sdk.waiting import LATEST_US, LONGEST_MS, NAME, NAME_IN_WORDS, Wait

DEFAULT_POLL_MS: Final = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMS = (
    "wait for an aware datetime, a timedelta, the name of a condition that the runner knows, "
    "SentEvent(name), or a function without arguments"
)


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event that somebody sends to the execution; `handle.wait_event` returns what came with it.

    Raises:
        InvalidWaitError: if nothing can be called so.
    """

    name: str

    def __post_init__(self) -> None:
        check_name("event", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A wait that is no data: for a function of the body to return something true."""

    condition: Callable[[], object]
    poll_ms: int
    timeout_ms: int | None


Condition: TypeAlias = datetime | timedelta | str | SentEvent | Callable[[], object]
Duration: TypeAlias = timedelta | float | str


def check_name(what: str, name: object) -> None:
    """Refuse what no event, or condition, can be called.

    Raises:
        InvalidWaitError: if it is so.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidWaitError(f"The name of an {what} has {NAME_IN_WORDS}, not {_short(name)}")


def read_condition(
    condition: object,
    *,
    poll_interval: Duration | None,
    poll_interval_ms: int | None,
    timeout: Duration | None,
) -> Wait | Poll:
    """Return the wait that the arguments of `defer_until` describe.

    Raises:
        InvalidWaitError: if they describe none.
        InvalidDurationError: if a duration is none.
    """
    poll_ms = _poll_ms(poll_interval, poll_interval_ms)
    timeout_ms = None if timeout is None else _within_limits("timeout", timeout)
    match condition:
        case datetime() | timedelta():
            _refuse("a time", poll_interval=poll_ms, timeout=timeout_ms)
            return _time(condition)
        case SentEvent():
            _refuse("an event", poll_interval=poll_ms)
            return Wait.event(condition.name, timeout_ms=timeout_ms)
        case str():
            _check_condition_name(condition)
            poll_ms = DEFAULT_POLL_MS if poll_ms is None else poll_ms
            return Wait.condition(condition, poll_ms=poll_ms, timeout_ms=timeout_ms)
        case _ if callable(condition):
            poll_ms = DEFAULT_POLL_MS if poll_ms is None else poll_ms
            return Poll(condition=condition, poll_ms=poll_ms, timeout_ms=timeout_ms)
        case _:
            raise InvalidWaitError(f"{_short(condition)} is nothing to wait for{_hint(condition)}")


def _time(moment: datetime | timedelta) -> Wait:
    if isinstance(moment, timedelta):
        return Wait.delay(_within_limits("delay", moment))
    if moment.utcoffset() is None:
        raise InvalidWaitError(
            f"{moment!r} has no time zone, so it is no moment; write datetime(..., tzinfo=UTC), or "
            ".astimezone() if local time is meant"
        )
    moment_us = (moment - _EPOCH) // timedelta(microseconds=1)
    return Wait.until(min(max(moment_us, 0), LATEST_US))


def _poll_ms(interval: Duration | None, interval_ms: object) -> int | None:
    if interval is not None and interval_ms is not None:
        raise InvalidWaitError("Give either poll_interval or poll_interval_ms, not both")
    if interval_ms is not None:
        if not isinstance(interval_ms, int) or isinstance(interval_ms, bool):
            raise InvalidWaitError(
                f"poll_interval_ms is a whole number of milliseconds, not {_short(interval_ms)}"
            )
        if not 1 <= interval_ms <= LONGEST_MS:
            raise _out_of_range("poll_interval_ms", interval_ms)
        return interval_ms
    if interval is None:
        return None
    poll_ms = _within_limits("poll_interval", interval)
    if poll_ms < 1:
        raise _out_of_range("poll_interval", interval)
    return poll_ms


def _within_limits(what: str, duration: Duration) -> int:
    duration_ms = to_milliseconds(duration)
    if duration_ms > LONGEST_MS:
        raise _out_of_range(what, duration)
    return duration_ms


def _out_of_range(what: str, given: object) -> InvalidWaitError:
    at_least = "" if what in {"timeout", "delay"} else "at least a millisecond and "
    return InvalidWaitError(f"A {what} is {at_least}at most a hundred years, not {_short(given)}")


def _refuse(what: str, **options: int | None) -> None:
    for name, given in options.items():
        if given is not None:
            raise InvalidWaitError(f"{name}= says nothing about a wait for {what}; leave it out")


def _check_condition_name(name: str) -> None:
    check_name("condition", name)
    with suppress(InvalidDurationError):
        to_milliseconds(name)
        raise InvalidWaitError(
            f"{name!r} reads as a duration, but a text is the name of a condition; "
            "write a timedelta for a time"
        )


def _hint(given: object) -> str:
    if hasattr(given, "__await__"):
        close = getattr(given, "close", None)
        if callable(close):
            close()  # nobody will await it, and the interpreter would warn about that
        return "; pass the async function itself, without calling it"
    if isinstance(given, bool):
        return "; pass the function that finds it out, without calling it"
    if isinstance(given, int | float):
        return f"; write timedelta(seconds={given}) for a time"
    if isinstance(given, date):
        return "; a date is no moment: write an aware datetime"
    return f"; {_FORMS}"


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 80 else text[:77] + "..."
