"""Read closed JSON objects and collect every problem instead of stopping at the first.

* A key is taken once; what nobody took when the object is closed is an unknown key.
* A value that is missing or wrong adds a problem with its path and yields a stand-in of the
  right type, so reading goes on; whoever collected a problem throws the result away.
* A boolean is not an integer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from cloacina_sdk.json_text import kind_of, member_path

T = TypeVar("T")


class _Required:
    """Marks a key that has no default."""


_REQUIRED: Final = _Required()


class Fields:
    """One JSON object while it is read.

    Args:
        raw: what should be an object.
        path: where it sits, for the problems.
        problems: the list that every problem is added to.

    Attributes:
        is_object: whether it is one; if not, its members are not reported as missing.
    """

    def __init__(self, raw: object, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.is_object = isinstance(raw, Mapping)
        self._left: dict[object, object] = dict(raw) if isinstance(raw, Mapping) else {}
        if not self.is_object and raw is not _REQUIRED:  # what is missing is reported already
            problems.append(f"{path} must be an object, not {kind_of(raw)}")

    def path_of(self, key: str) -> str:
        """Return the path of a member."""
        return member_path(self.path, key)

    def has(self, key: str) -> bool:
        """Whether a value of any kind is still to be taken."""
        return key in self._left

    def value(self, key: str, default: object = _REQUIRED) -> object:
        """Take a value of any kind."""
        if key in self._left:
            return self._left.pop(key)
        if default is not _REQUIRED:
            return default
        if self.is_object:
            self.problems.append(f"{self.path_of(key)} is missing")
        return _REQUIRED

    def text(
        self,
        key: str,
        default: str | _Required = _REQUIRED,
        *,
        form: re.Pattern[str] | None = None,
        expected: str = "",
    ) -> str:
        """Take a string; with `form`, one that matches it whole (`expected` says it in words)."""
        value = self._typed(key, str, "a string", default)
        if form is not None and value is not None and not form.fullmatch(value):
            self.problems.append(f"{self.path_of(key)} must be {expected}, not {_short(value)}")
        return value or ""

    def optional_text(
        self, key: str, *, form: re.Pattern[str] | None = None, expected: str = ""
    ) -> str | None:
        """Take a string, or None where the value is null or absent."""
        if self._left.get(key) is None:
            self._left.pop(key, None)
            return None
        return self.text(key, form=form, expected=expected)

    def choice(
        self, key: str, choices: Collection[str], default: str | _Required = _REQUIRED
    ) -> str:
        """Take one of several strings; the stand-in is the first of them."""
        value = self._typed(key, str, "a string", default)
        if value in choices:
            return str(value)
        if value is not None:
            listed = ", ".join(choices)
            self.problems.append(
                f"{self.path_of(key)} must be one of {listed}, not {_short(value)}"
            )
        return next(iter(choices))

    def integer(
        self, key: str, default: int | _Required = _REQUIRED, *, lowest: int = 0, highest: int
    ) -> int:
        """Take an integer within a range, both ends included; the stand-in is the lowest."""
        value = self._typed(key, int, "an integer", default)
        if value is None:
            return lowest
        if not lowest <= value <= highest:
            given = value if abs(value) < 10**20 else "a far larger one"
            self.problems.append(f"{self.path_of(key)} must be {lowest} to {highest}, not {given}")
            return lowest
        return value

    def optional_integer(self, key: str, *, lowest: int = 0, highest: int) -> int | None:
        """Take an integer within a range, or null; a missing key counts as null."""
        if self._left.get(key) is None:
            self._left.pop(key, None)
            return None
        return self.integer(key, lowest=lowest, highest=highest)

    def boolean(self, key: str, *, default: bool | _Required = _REQUIRED) -> bool:
        """Take a boolean."""
        return bool(self._typed(key, bool, "a boolean", default))

    def items(self, key: str, default: Sequence[object] | _Required = _REQUIRED) -> list[object]:
        """Take an array."""
        value = self.value(key, default)
        if isinstance(value, list | tuple):
            return list(value)
        self._wrong_kind(key, value, "an array")
        return []

    def texts(self, key: str, default: Sequence[str] | _Required = _REQUIRED) -> tuple[str, ...]:
        """Take an array of strings."""
        found: list[str] = []
        for index, item in enumerate(self.items(key, default)):
            if isinstance(item, str):
                found.append(item)
            else:
                path = f"{self.path_of(key)}[{index}]"
                self.problems.append(f"{path} must be a string, not {kind_of(item)}")
        return tuple(found)

    def members(
        self, key: str, default: Mapping[str, object] | _Required = _REQUIRED
    ) -> dict[str, object]:
        """Take an object whose keys are open."""
        value = self.value(key, default)
        if isinstance(value, Mapping):
            return {str(name): member for name, member in value.items()}
        self._wrong_kind(key, value, "an object")
        return {}

    def inner(self, key: str) -> Fields:
        """Take an object whose keys are closed, to be read in turn."""
        return Fields(self.value(key), self.path_of(key), self.problems)

    def each(self, key: str, default: Sequence[object] | _Required = _REQUIRED) -> list[Fields]:
        """Take an array of objects, each to be read in turn."""
        path = self.path_of(key)
        return [
            Fields(item, f"{path}[{index}]", self.problems)
            for index, item in enumerate(self.items(key, default))
        ]

    def close(self) -> None:
        """Report every key that nobody took."""
        self.problems.extend(f"{self.path_of(str(key))} is not a known key" for key in self._left)

    def _typed(self, key: str, kind: type[T], name: str, default: object) -> T | None:
        value = self.value(key, default)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self._wrong_kind(key, value, name)
        return None

    def _wrong_kind(self, key: str, value: object, name: str) -> None:
        if value is not _REQUIRED:
            self.problems.append(f"{self.path_of(key)} must be {name}, not {kind_of(value)}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
