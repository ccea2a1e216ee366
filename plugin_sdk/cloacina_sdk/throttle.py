"""Limits that all runners of a database keep together: concurrency keys and rates.

* A concurrency key is held from the start of an attempt to its end; at most `max_concurrent`
  attempts hold a key at once, whichever tasks they are of.
* A rate counts starts of attempts in windows of the clock, for each task apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.json_text import decode, encode, kind_of

MOST_AT_ONCE = 1_000_000
LONGEST_KEY = 300
_RATE = re.compile(r"\s*([1-9]\d{0,6})\s*/\s*(s|m|h|d)\s*", re.ASCII)
_WINDOWS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many starts in each window of the clock.

    Attributes:
        count: how many, 1 to 1,000,000.
        per: the window: "s", "m", "h" or "d", in UTC.

    Raises:
        InvalidDefinitionError: for other values.
    """

    count: int
    per: str = "s"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.per not in _WINDOWS_S:
            raise InvalidDefinitionError(
                f"The window of a rate is 's', 'm', 'h' or 'd', not {self.per!r}"
            )
        _check_count("the count of a rate", self.count)

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read `"10/s"`, `"5/m"`, `"100/h"` or `"1000/d"`.

        Raises:
            InvalidDefinitionError: for any other form.
        """
        form = _RATE.fullmatch(text)
        if form is None:
            raise InvalidDefinitionError(
                f"{text!r} is no rate; write a number of starts per window, such as '10/s', "
                "'5/m', '100/h' or '1000/d'"
            )
        return cls(int(form[1]), form[2])

    @property
    def window_us(self) -> int:
        """How long a window is, in microseconds."""
        return _WINDOWS_S[self.per] * 1_000_000

    def __str__(self) -> str:
        return f"{self.count}/{self.per}"


class UnknownKeyError(ValueError):
    """A concurrency key cannot be made of a context; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """What limits a task's attempts beside the slots of a runner.

    Attributes:
        key: the concurrency key, in which `{name}` stands for a value of the context.
        max_concurrent: how many attempts may hold the key at once.
        rate: how many attempts may start in a window.
    """

    key: str | None = None
    max_concurrent: int = 1
    rate: RateLimit | None = None

    def to_document(self) -> dict[str, str | int]:
        """Return the members that a limited task has beside those of every task."""
        members: dict[str, str | int] = {}
        if self.key is not None:
            members = {"concurrency_key": self.key, "max_concurrent": self.max_concurrent}
        if self.rate is not None:
            members["rate_limit"] = str(self.rate)
        return members

    def key_for(self, texts: Mapping[str, str]) -> str | None:
        """Return the key with values of a context in it; None where there is no key.

        Raises:
            UnknownKeyError: if the context lacks a value, or a value is no text or number.
        """
        if self.key is None:
            return None
        filled = "".join(
            literal + ("" if name is None else self._value(name, texts))
            for literal, name, _, _ in Formatter().parse(self.key)
        )
        if not 1 <= len(filled) <= LONGEST_KEY or "\0" in filled:
            raise UnknownKeyError(
                f"the concurrency key {self.key!r} becomes {filled[:50]!r}, which has "
                f"{len(filled)} characters; it must have 1 to {LONGEST_KEY}, and no NUL"
            )
        return filled

    def _value(self, name: str, texts: Mapping[str, str]) -> str:
        if name not in texts:
            present = ", ".join(map(repr, list(texts)[:10])) or "no keys"
            raise UnknownKeyError(
                f"the concurrency key {self.key!r} needs {name!r}, but the context holds {present}"
            )
        value = decode(texts[name])
        if isinstance(value, str):
            return value
        if isinstance(value, bool | int | float):
            return texts[name]
        raise UnknownKeyError(
            f"the concurrency key {self.key!r} needs {name!r} to be a string or a number, "
            f"but it is {kind_of(value)}"
        )


def checked(key: object, max_concurrent: object, rate_limit: object) -> Throttle | None:
    """Check the options of `@task` that limit it; None where it is not limited.

    Raises:
        InvalidDefinitionError: if one has no such value, or needs another one.
    """
    if key is None and max_concurrent is not None:
        raise InvalidDefinitionError(
            "max_concurrent= says how many may hold concurrency_key=: give both"
        )
    if key is None and rate_limit is None:
        return None
    if key is not None:
        _check_template(key)
    if max_concurrent is not None:
        _check_count("max_concurrent", max_concurrent)
    return Throttle(
        key=None if key is None else str(key),
        max_concurrent=max_concurrent if isinstance(max_concurrent, int) else 1,
        rate=None if rate_limit is None else _rate(rate_limit),
    )


def read_throttle(fields: Fields) -> Throttle | None:
    """Read the members that `Throttle.to_document` wrote among those of a task."""
    key = fields.optional_text("concurrency_key")
    most = fields.optional_integer("max_concurrent", lowest=1, highest=MOST_AT_ONCE)
    rate = fields.optional_text("rate_limit")
    try:
        return checked(key, most, rate)
    except InvalidDefinitionError as error:
        fields.problems.append(f"{fields.path}: {error}")
        return None


def _rate(given: object) -> RateLimit:
    if isinstance(given, RateLimit):
        return given
    if isinstance(given, str):
        return RateLimit.parse(given)
    raise InvalidDefinitionError(
        f"rate_limit takes a RateLimit or text such as '10/s', not {given!r}"
    )


def _check_template(given: object) -> None:
    if not isinstance(given, str) or not given:
        raise InvalidDefinitionError(f"concurrency_key is a text that is not empty, not {given!r}")
    encode(given, "concurrency_key")
    try:
        parts = list(Formatter().parse(given))
    except ValueError as error:
        raise InvalidDefinitionError(
            f"The concurrency key {given!r} cannot be read: {error}; "
            "write {name} for a value of the context, and {{ for a brace"
        ) from error
    for _, name, form, conversion in parts:
        if name == "" or form or conversion:
            raise InvalidDefinitionError(
                f"The concurrency key {given!r} must name a key of the context between braces, "
                "and nothing else"
            )


def _check_count(what: str, given: object) -> None:
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    if not (is_whole and isinstance(given, int) and 1 <= given <= MOST_AT_ONCE):
        raise InvalidDefinitionError(
            f"{what} must be a whole number from 1 to {MOST_AT_ONCE:,}, not {given!r}"
        )
