"""The data that flows through a workflow: string keys and JSON values.

* Every value is held as its JSON text, so a value read is always a fresh copy, a change
  shows as a different text, and texts travel to the store and back without being parsed.
* One context may be read and written by several threads at once: whoever writes holds a
  lock, whoever reads does it in one atomic step.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Protocol, TypeVar, cast, overload

from cloacina_sdk.errors import (
    ContextKeyError,
    ContextKeyExistsError,
    InvalidContextValueError,
    InvalidJsonError,
)
from cloacina_sdk.json_text import JsonValue, decode, encode, kind_of, member_path

T = TypeVar("T")
_ABSENT = object()


class _Keyed(Protocol):
    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, key: str, /) -> JsonValue: ...


class Context(MutableMapping[str, JsonValue]):
    """A mapping from strings to JSON values that hands out copies.

    Raises:
        InvalidContextValueError: for a key that is no string or a value that is no JSON.
    """

    __slots__ = ("_lock", "_texts")

    def __init__(self, data: Mapping[str, JsonValue] | None = None) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {} if data is None else _texts_of(data)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Context:
        """Make a context of JSON texts that `encode` wrote; they are trusted, not parsed."""
        context = cls()
        context._texts = dict(texts)
        return context

    @staticmethod
    def from_json(text: str) -> Context:
        """Make a context of the text of one JSON object.

        Raises:
            InvalidJsonError: if the text is not JSON or its value is no object.
        """
        value = decode(text)
        if not isinstance(value, Mapping):
            raise InvalidJsonError(f"a context is an object, this text holds {kind_of(value)}")
        return Context(value)

    def texts(self) -> dict[str, str]:
        """Return a copy of the map from each key to the JSON text of its value."""
        return self._texts.copy()

    def to_json(self) -> str:
        """Return the JSON text of the whole context."""
        members = (f"{encode(key)}:{text}" for key, text in self.texts().items())
        return "{" + ",".join(members) + "}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return a plain dict with copies of all values."""
        return {key: decode(text) for key, text in self.texts().items()}

    def copy(self) -> Context:
        """Return a context of its own with the same content."""
        return Context.from_texts(self._texts.copy())

    def set(self, key: str, value: JsonValue) -> None:
        """Store a value under a key, whether or not the key is there."""
        self[key] = value

    def insert(self, key: str, value: JsonValue) -> None:
        """Store a value under a new key.

        Raises:
            ContextKeyExistsError: if the key is there already.
        """
        text = _checked(key, value)
        with self._lock:
            if key in self._texts:
                raise ContextKeyExistsError(key)
            self._texts[key] = text

    def remove(self, key: str) -> JsonValue:
        """Take a key out and return its value, or None if it was not there."""
        return self.pop(key, None)

    @overload
    def get(self, key: str, default: None = None) -> JsonValue: ...
    @overload
    def get(self, key: str, default: JsonValue | T) -> JsonValue | T: ...
    def get(self, key: str, default: object = None) -> object:
        """Return a copy of a value, or the default itself if the key is absent."""
        text = self._texts.get(key)
        return default if text is None else decode(text)

    @overload
    def pop(self, key: str) -> JsonValue: ...
    @overload
    def pop(self, key: str, default: JsonValue | T) -> JsonValue | T: ...
    def pop(self, key: str, default: object = _ABSENT) -> object:
        """Take a key out and return its value, or the default if one was given.

        Raises:
            ContextKeyError: if the key is absent and there is no default.
        """
        text = self._taken(key)
        if text is not None:
            return decode(text)
        if default is _ABSENT:
            raise ContextKeyError(key, self)
        return default

    def popitem(self) -> tuple[str, JsonValue]:
        """Take out the newest key and return it with its value."""
        with self._lock:
            if not self._texts:
                raise ContextKeyError("popitem()")
            key, text = self._texts.popitem()
        return key, decode(text)

    def setdefault(self, key: str, default: JsonValue = None) -> JsonValue:  # type: ignore[override]  # a stored value comes back even where the default is None
        """Return the value of a key, after storing the default if the key is absent."""
        text = _checked(key, default)
        with self._lock:
            return decode(self._texts.setdefault(key, text))

    def clear(self) -> None:
        """Remove every key."""
        with self._lock:
            self._texts.clear()

    @overload
    def update(self, data: _Keyed, /, **values: JsonValue) -> None: ...
    @overload
    def update(self, data: Iterable[tuple[str, JsonValue]], /, **values: JsonValue) -> None: ...
    @overload
    def update(self, /, **values: JsonValue) -> None: ...
    @overload
    def update(self, key: str, value: JsonValue, /) -> None: ...
    def update(
        self, data: object = _ABSENT, value: object = _ABSENT, /, **values: JsonValue
    ) -> None:
        """Replace the value of one existing key, or store everything from a mapping.

        `update(key, value)` demands that the key exists, also as `update(key=..., value=...)`;
        `update(mapping)`, pairs and other keyword arguments work as with a dict. Either every
        value is stored or, on an error, none.

        Raises:
            ContextKeyError: if `update(key, value)` names a key that is absent.
        """
        if data is _ABSENT and values.keys() == {"key", "value"}:
            data, value = values.pop("key"), values.pop("value")
        elif isinstance(data, str) and values.keys() == {"value"}:
            value = values.pop("value")
        if value is _ABSENT:
            self.update_from_dict({**({} if data is _ABSENT else _pairs(data)), **values})
        elif values:
            raise InvalidContextValueError(
                "the content", "comes as one key and its value, or as a mapping, not as both"
            )
        else:
            self._replace(cast("str", data), cast("JsonValue", value))

    def update_from_dict(self, data: Mapping[str, JsonValue]) -> None:
        """Store everything from a mapping; on an error nothing is stored."""
        texts = _texts_of(data)
        with self._lock:
            self._texts.update(texts)

    def _replace(self, key: str, value: JsonValue) -> None:
        text = _checked(key, value)
        with self._lock:
            if key not in self._texts:
                raise ContextKeyError(key, self)
            self._texts[key] = text

    def _taken(self, key: str) -> str | None:
        with self._lock:
            return self._texts.pop(key, None)

    def __getitem__(self, key: str) -> JsonValue:
        text = self._texts.get(key)
        if text is None:
            raise ContextKeyError(key, self)
        return decode(text)

    def __setitem__(self, key: str, value: JsonValue) -> None:
        text = _checked(key, value)
        with self._lock:
            self._texts[key] = text

    def __delitem__(self, key: str) -> None:
        if self._taken(key) is None:
            raise ContextKeyError(key, self)

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._texts))  # a snapshot: another thread may write meanwhile

    def __len__(self) -> int:
        return len(self._texts)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Context):
            return self._texts == other._texts or self.to_dict() == other.to_dict()
        if isinstance(other, Mapping):
            return self.to_dict() == dict(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable, as a dict is

    def __repr__(self) -> str:
        return f"Context({self.to_json()})"

    def __reduce__(self) -> tuple[object, tuple[dict[str, str]]]:
        return Context.from_texts, (self.texts(),)


def _checked(key: object, value: object) -> str:
    if not isinstance(key, str):
        reason = f"has the key {key!r} of type {type(key).__name__}; keys must be strings"
        raise InvalidContextValueError("$", reason)
    if not key.isascii():
        encode(key, "the key")
    return encode(value, member_path("$", key))


def _texts_of(data: Mapping[str, JsonValue]) -> dict[str, str]:
    if isinstance(data, Context):
        return data.texts()
    if not isinstance(data, Mapping):
        raise InvalidContextValueError(
            "the content", f"must be a mapping such as a dict, not of type {type(data).__name__}"
        )
    return {key: _checked(key, value) for key, value in data.items()}


def _pairs(data: object) -> dict[str, JsonValue]:
    try:
        return dict(cast("Iterable[tuple[str, JsonValue]]", data))
    except (TypeError, ValueError) as error:
        raise InvalidContextValueError(
            "the content", f"must be a mapping or pairs, not of type {type(data).__name__}"
        ) from error
