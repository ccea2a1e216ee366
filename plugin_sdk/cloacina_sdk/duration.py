"""Durations as people write them, turned into whole milliseconds."""

from __future__ import annotations

import re
from datetime import timedelta

from cloacina_sdk.errors import InvalidDurationError

_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 2**53 - 1  # what every JSON reader keeps exactly


def to_milliseconds(value: timedelta | float | str) -> int:
    """Return a duration in milliseconds, rounded to the nearest one.

    Args:
        value: a timedelta, a number of seconds, or text such as `"250ms"` or `"1.5h"`.

    Raises:
        InvalidDurationError: for any other form, and for what is negative, infinite or NaN.
    """
    milliseconds = _exact_milliseconds(value)
    if milliseconds != milliseconds:  # noqa: PLR0124 - NaN alone differs from itself; isnan() refuses huge integers
        raise InvalidDurationError(value, "it is not a number")
    if milliseconds < 0:
        raise InvalidDurationError(value, "it is negative")
    if milliseconds > _LONGEST_MS:
        raise InvalidDurationError(value, "it is too long")
    return round(milliseconds)


def _exact_milliseconds(value: timedelta | float | str) -> float:
    match value:
        case timedelta():
            return value / timedelta(milliseconds=1)
        case bool():
            raise InvalidDurationError(value, "it is a boolean")
        case int() | float():
            return value * 1_000
        case str():
            form = _FORM.fullmatch(value)
            if form is None:
                raise InvalidDurationError(value, "the text has no known form")
            return float(form[1]) * _MILLISECONDS[form[2]]
        case _:
            raise InvalidDurationError(value, f"it is a {type(value).__name__}")
