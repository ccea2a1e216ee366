"""How large a context is as JSON text, told from the texts of its values without joining them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_AROUND: Final = 4
"""The quotes of a key, the colon after it and the comma after its value."""
_WIDEST: Final = 4
"""How many bytes of UTF-8 a character takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """A context that is larger than it may be."""

    total_bytes: int
    limit_bytes: int
    key: str
    """The key whose value is the largest."""
    key_bytes: int

    def __str__(self) -> str:
        return (
            f"the context has {self.total_bytes:,} bytes as JSON, and max_context_bytes allows "
            f"{self.limit_bytes:,}; the largest value is that of {self.key!r:.200}, with "
            f"{self.key_bytes:,} bytes; keep large data elsewhere and pass on where it is"
        )


def excess_of(texts: Mapping[str, str], limit_bytes: int) -> Excess | None:
    """Return by what a context (key -> JSON text) is too large; ``None`` if it is not.

    A limit of 0 is none.
    """
    if not limit_bytes:
        return None
    characters = sum(map(len, texts)) + sum(map(len, texts.values())) + _AROUND * len(texts)
    if characters * _WIDEST <= limit_bytes:
        return None  # which is told without looking at any text
    sizes = {key: _size(text) for key, text in texts.items()}
    total = 1 + sum(sizes.values()) + sum(map(_size, texts)) + _AROUND * len(texts)
    if total <= limit_bytes:
        return None
    largest = max(sizes, key=sizes.__getitem__)
    return Excess(total_bytes=total, limit_bytes=limit_bytes, key=largest, key_bytes=sizes[largest])


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
