"""What is counted of source code, however it was counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Census:
    r"""The counts of some files taken together; what a token is stands in native/scanner.h.

    Attributes:
        longest_line: in bytes, without the newline.
        counts: how often each identifier occurs; bytes that are no UTF-8 stand as `\xff`.
    """

    lines: int = 0
    longest_line: int = 0
    identifiers: int = 0
    numbers: int = 0
    operators: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Iterable["Census"]) -> "Census":
        """Return the census of all the files that the parts counted."""
        known = list(parts)
        counts: Counter[str] = Counter()
        for part in known:
            counts.update(part.counts)
        return cls(
            lines=sum(part.lines for part in known),
            longest_line=max((part.longest_line for part in known), default=0),
            identifiers=sum(part.identifiers for part in known),
            numbers=sum(part.numbers for part in known),
            operators=sum(part.operators for part in known),
            counts=dict(counts),
        )

    def top(self, number: int) -> list[tuple[str, int]]:
        """Return the most frequent identifiers, alphabetically among equals."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:number]

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict, from which `Census(**...)` makes an equal one."""
        return asdict(self)


def name_of(raw: bytes) -> str:
    """Return an identifier as text; different bytes give different texts."""
    return raw.decode("utf-8", "backslashreplace")
