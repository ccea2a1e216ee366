"""How the delays between attempts grow.

* A strategy multiplies a policy's initial delay by a factor; it knows no time.
* Factors are written to JSON as decimal strings, so that no reader rounds them.
"""

from __future__ import annotations

import enum
import math
import numbers
import re
from dataclasses import dataclass
from decimal import Decimal

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.json_text import JsonValue

_LEAST_FACTOR, _GREATEST_FACTOR = 0.0001, 1_000_000.0  # between them repr() has no exponent
_DECIMAL = re.compile(r"(0|[1-9]\d{0,6})(\.\d{1,25})?", re.ASCII)


class BackoffKind(enum.StrEnum):
    """How delays grow from one attempt to the next."""

    FIXED = "Fixed"
    LINEAR = "Linear"
    EXPONENTIAL = "Exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffStrategy:
    """The growth of delays; make one with `fixed`, `linear` or `exponential`."""

    kind: BackoffKind
    base: float = 1.0
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        for name in ("base", "multiplier"):
            if not _LEAST_FACTOR <= _number(name, getattr(self, name)) <= _GREATEST_FACTOR:
                raise InvalidDefinitionError(
                    f"The backoff's {name} must be {_LEAST_FACTOR} to {_GREATEST_FACTOR:.0f}, "
                    f"not {getattr(self, name)!r}"
                )

    @staticmethod
    def fixed() -> BackoffStrategy:
        """Wait equally long before every attempt."""
        return BackoffStrategy(kind=BackoffKind.FIXED)

    @staticmethod
    def linear(multiplier: float = 1.0) -> BackoffStrategy:
        """Wait `delay * n * multiplier` after attempt n."""
        return BackoffStrategy(
            kind=BackoffKind.LINEAR, multiplier=_number("multiplier", multiplier)
        )

    @staticmethod
    def exponential(base: float = 2.0, multiplier: float | None = None) -> BackoffStrategy:
        """Wait `delay * multiplier * base ** (n - 1)` after attempt n."""
        factor = 1.0 if multiplier is None else _number("multiplier", multiplier)
        return BackoffStrategy(
            kind=BackoffKind.EXPONENTIAL, base=_number("base", base), multiplier=factor
        )

    def factor(self, attempt: int) -> float:
        """Return what the initial delay is multiplied by after an attempt, counted from 1."""
        try:
            match self.kind:
                case BackoffKind.FIXED:
                    return 1.0
                case BackoffKind.LINEAR:
                    return attempt * self.multiplier
                case BackoffKind.EXPONENTIAL:
                    return self.multiplier * self.base ** (attempt - 1)
        except OverflowError:
            return math.inf

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        document: dict[str, JsonValue] = {"type": self.kind.value}
        if self.kind is BackoffKind.EXPONENTIAL:
            document["base"] = _decimal(self.base)
        if self.kind is not BackoffKind.FIXED:
            document["multiplier"] = _decimal(self.multiplier)
        return document

    @staticmethod
    def read(fields: Fields) -> BackoffStrategy:
        """Read the JSON form; with a problem the result is a stand-in."""
        kind = BackoffKind(fields.choice("type", [kind.value for kind in BackoffKind]))
        base = _read_factor(fields, "base") if kind is BackoffKind.EXPONENTIAL else 1.0
        multiplier = _read_factor(fields, "multiplier") if kind is not BackoffKind.FIXED else 1.0
        fields.close()
        return BackoffStrategy(kind=kind, base=base, multiplier=multiplier)


def _number(name: str, given: object) -> float:
    if not isinstance(given, bool) and isinstance(given, numbers.Real | Decimal):
        return float(given)
    raise InvalidDefinitionError(f"The backoff's {name} must be a number, not {given!r}")


def _read_factor(fields: Fields, key: str) -> float:
    before = len(fields.problems)
    text = fields.text(key, form=_DECIMAL, expected="a decimal number")
    if len(fields.problems) > before or not text:
        return 1.0
    value = float(text)
    if _LEAST_FACTOR <= value <= _GREATEST_FACTOR:
        return value
    fields.problems.append(
        f"{fields.path_of(key)} must be {_LEAST_FACTOR} to {_GREATEST_FACTOR:.0f}, not {text}"
    )
    return 1.0


def _decimal(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
