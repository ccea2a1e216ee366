"""Durations."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDurationError


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("250ms", 250),
        ("5s", 5_000),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("1.5s", 1_500),
        (" 5 s ", 5_000),
        (5, 5_000),
        (0, 0),
        (0.25, 250),
        (timedelta(minutes=2, milliseconds=3), 120_003),
    ],
)
def test_every_form_gives_milliseconds(value: timedelta | float | str, milliseconds: int) -> None:
    assert to_milliseconds(value) == milliseconds


@pytest.mark.parametrize(
    "value",
    [
        *("5", "s", "-5s", "5 weeks", "", "5S", "\u0665s", "9" * 400 + "d"),
        *(-1, -0.001, math.nan, math.inf, -math.inf, 10**400),
        *(timedelta(seconds=-1), True, None, []),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_everything_else_is_refused_with_the_valid_forms(value: float | str) -> None:
    with pytest.raises(InvalidDurationError, match="write a timedelta, a number of seconds"):
        to_milliseconds(value)


@given(st.integers(0, 10**9))
def test_whole_milliseconds_are_exact_in_every_form(milliseconds: int) -> None:
    assert to_milliseconds(timedelta(milliseconds=milliseconds)) == milliseconds
    assert to_milliseconds(milliseconds / 1_000) == milliseconds
    assert to_milliseconds(f"{milliseconds}ms") == milliseconds
