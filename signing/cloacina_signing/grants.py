"""Grants: who may sign which packages, and how isolated these must run.

Rules:

* Names and patterns are compared normalised by PEP 503: lower case, runs of ``-``, ``_`` and ``.``
  are one ``-``.
* A pattern is a glob with ``*`` alone, which stands for any run of characters, none included.
* The longest pattern wins: the one with the most characters that are not ``*``, then the one with
  the fewest ``*``. Two that are equally long are refused rather than guessed between.
* What no pattern matches is not granted.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cloacina_signing.closed_object import MAX_TEXT_CHARS, ClosedObject
from cloacina_signing.errors import TrustError, shown
from cloacina_signing.strict_json import JsonValue

MAX_GRANT_KEYS = 64
GRANT_KEYS = ("pattern", "publisher", "key_ids", "threshold", "isolation")
_PATTERN = re.compile(r"[A-Za-z0-9._*-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_SEPARATORS = re.compile(r"[-_.]+")


class Isolation(StrEnum):
    """How far a package's code is kept from the host, the farthest first."""

    HARDENED = "hardened"
    PROCESS = "process"
    INPROCESS = "inprocess"

    def is_at_least(self, least: "Isolation") -> bool:
        """Tell whether this keeps a package at least as far away as `least` does."""
        strongest_first = list(Isolation)
        return strongest_first.index(self) <= strongest_first.index(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Packages whose name matches `pattern` are accepted from `publisher`.

    They need signatures by `threshold` distinct keys of `key_ids`, and run at least as isolated as
    `isolation`. The pattern is kept normalised and the key ids sorted.

    Raises:
        TrustError: a part is malformed, or the threshold can never be reached.
    """

    pattern: str
    publisher: str
    key_ids: tuple[str, ...]
    threshold: int = 1
    isolation: Isolation = Isolation.PROCESS

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(self.pattern) or "**" in self.pattern:
            fact = f"{shown(self.pattern)} is no pattern of package names"
            raise TrustError(fact, next_step="write a name, with * for any run of characters")
        if not (self.publisher.isprintable() and 1 <= len(self.publisher) <= MAX_TEXT_CHARS):
            raise TrustError(f"{shown(self.publisher)} is no name of a publisher")
        if not 1 <= len(self.key_ids) <= MAX_GRANT_KEYS:
            raise TrustError(f"the grant of {self.pattern} needs 1 to {MAX_GRANT_KEYS} keys")
        if not 1 <= self.threshold <= len(set(self.key_ids)):
            fact = f"the grant of {self.pattern} needs {self.threshold} signatures"
            next_step = f"choose a threshold from 1 to {len(set(self.key_ids))}, its number of keys"
            raise TrustError(fact, next_step=next_step)
        object.__setattr__(self, "pattern", _normalised(self.pattern))
        object.__setattr__(self, "key_ids", tuple(sorted(set(self.key_ids))))

    @classmethod
    def from_object(cls, fields: ClosedObject) -> Self:
        """Read a grant from a trust file's document.

        Raises:
            StrictJsonError: a member has the wrong type.
            TrustError: a part is malformed, or the threshold can never be reached.
        """
        isolation = fields.text("isolation")
        if isolation not in set(Isolation):
            fact = f"{shown(isolation)} is none of {', '.join(Isolation)}"
            raise fields.refusal("isolation", fact)
        return cls(
            pattern=fields.text("pattern"),
            publisher=fields.text("publisher"),
            key_ids=fields.texts("key_ids", max_items=MAX_GRANT_KEYS),
            threshold=fields.integer("threshold", 1, MAX_GRANT_KEYS),
            isolation=Isolation(isolation),
        )

    def to_document(self) -> JsonValue:
        """Return the grant as it stands in a trust file's document."""
        return {
            "pattern": self.pattern,
            "publisher": self.publisher,
            "key_ids": self.key_ids,
            "threshold": self.threshold,
            "isolation": self.isolation.value,
        }

    def matches(self, name: str) -> bool:
        """Tell whether a package of this name is meant; what is no package name never is."""
        return _NAME.fullmatch(name) is not None and _matches(self.pattern, _normalised(name))

    def accepts(self, isolation: str) -> bool:
        """Tell whether a package may run under this isolation; an unknown one never is accepted."""
        known = isolation in set(Isolation)
        return known and Isolation(isolation).is_at_least(self.isolation)


def select_grant(grants: Iterable[Grant], name: str) -> Grant | None:
    """Return the grant with the longest pattern that matches a package's name, if any.

    Raises:
        TrustError: two patterns that match are equally long.
    """
    matching = sorted((grant for grant in grants if grant.matches(name)), key=_length)
    if not matching:
        return None
    best = matching[-1]
    rivals = [grant.pattern for grant in matching if _length(grant) == _length(best)]
    if len(rivals) > 1:
        fact = f"the patterns {' and '.join(rivals)} match {shown(name)} equally well"
        raise TrustError(fact, next_step="make one of the two longer")
    return best


def _length(grant: Grant) -> tuple[int, int]:
    stars = grant.pattern.count("*")
    return len(grant.pattern) - stars, -stars


def _normalised(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


def _matches(pattern: str, name: str) -> bool:
    """Match in one pass; a regular expression could take exponential time over many stars."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == first
    *middle, last = rest
    if not name.startswith(first) or not name.endswith(last):
        return False
    position, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, position, max(position, end))
        if found == -1:
            return False
        position = found + len(part)
    return position <= end
