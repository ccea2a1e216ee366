"""How values are written into columns of text."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from cloacina.store.timestamps import to_text
from cloacina_sdk.json_text import encode

_Value = TypeVar("_Value")
moment = lru_cache(maxsize=256)(to_text)
"""Write a time; those of one commit are few."""


def object_text(texts: Mapping[str, str]) -> str:
    """Join key -> JSON text into the text of one JSON object, without parsing the values."""
    return "{" + ",".join(f"{encode(key)}:{text}" for key, text in texts.items()) + "}"


def plain(text: str) -> str:
    """Return what an exception says as text that every database stores: no NUL, no surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def maybe(to_text: Callable[[_Value], str], value: _Value | None) -> str | None:
    """Write a value; ``None`` stays ``None``."""
    return None if value is None else to_text(value)
