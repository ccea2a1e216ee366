"""Turn values into JSON text and back, under one strict set of rules.

* Texts are compact and keep non-ASCII characters; keys are strings at every depth.
* NaN, infinities and lone surrogates are refused in both directions.
* Tuples become lists; every other type that JSON lacks is refused with its path.
* Integers are exact, up to the interpreter's limit of 4,300 digits.
* Nesting is limited to `MAX_DEPTH` levels in both directions, so that whoever walks a value that
  was accepted needs no care.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from cloacina_sdk.errors import InvalidContextValueError, InvalidJsonError

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)

MAX_DEPTH = 200
"""How deep values may be nested: far below where the interpreter's own limit would strike."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SORTED_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
)
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (Mapping, "an object"),
    ((list, tuple), "an array"),
)
_UNSTRUCTURED = frozenset((type(None), bool, int, float, str))


def encode(value: object, path: str = "$") -> str:
    """Return the compact JSON text of a value.

    Args:
        value: What to write; nothing of it is kept.
        path: How an error calls the value itself; members are named below it (`$.a[3].b`).

    Raises:
        InvalidContextValueError: for the first part of the value that JSON cannot hold.
    """
    try:
        text = _ENCODER.encode(value)
        if not text.isascii():
            text.encode("utf-8")
        # The C encoder writes {1: 2} as {"1": 2}; reading back is the quickest way to notice.
        is_same = type(value) in _UNSTRUCTURED or _READER.decode(text) == value
        if is_same and not _is_too_deep(value, text):
            return text
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(value, path)
        reason = f"cannot be written as JSON ({error})"
        raise InvalidContextValueError(path, reason) from error
    _refuse(value, path)
    return text  # equal but for tuples, which were written as lists


def decode(text: str) -> JsonValue:
    """Return the value that a JSON text describes.

    Raises:
        InvalidJsonError: if the text is not JSON, or holds a number or character that
            `encode` would refuse.
    """
    return _decode(_READER, text)


def decode_untrusted(raw: bytes) -> JsonValue:
    """Return the value in foreign bytes: UTF-8 without a mark, and no key twice.

    Raises:
        InvalidJsonError: as `decode`, and for a byte order mark, bad UTF-8 or a repeated key.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"byte {error.start} is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise InvalidJsonError("it starts with a byte order mark")
    return _decode(_CAREFUL_READER, text)


def canonical(value: object) -> bytes:
    """Return the one form that digests are taken of: sorted keys, compact, UTF-8."""
    encode(value)
    return _SORTED_ENCODER.encode(value).encode("utf-8")


def member_path(path: str, key: str) -> str:
    """Return the path of an object's member, quoted where the key is no plain name."""
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{_ENCODER.encode(key)}]"


def kind_of(value: object) -> str:
    """Return JSON's name for the kind of a value, for use in messages."""
    for kinds, name in _KINDS:
        if isinstance(value, kinds):
            return name
    return f"a Python {type(value).__name__}"


def _decode(reader: json.JSONDecoder, text: str) -> JsonValue:
    try:
        value: object = reader.decode(text)
    except InvalidJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError(str(error)) from error
    if "\\u" in text or not text.isascii():
        _refuse_surrogates(value)
    if _is_too_deep(value, text):
        raise InvalidJsonError(f"it is nested over {MAX_DEPTH} levels deep")
    return cast("JsonValue", value)


def _is_too_deep(value: object, text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            return True
        containers = [part for part in level if isinstance(part, dict | list | tuple)]
        level = [
            child
            for part in containers
            for child in (part.values() if isinstance(part, dict) else part)
        ]
    return False


def _refuse_surrogates(value: object) -> None:
    try:
        _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidJsonError("it holds a lone surrogate, which is no character") from error


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidJsonError(f"the number {digits[:40]} is too large")
    return number


def _no_constant(name: str) -> None:
    raise InvalidJsonError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidJsonError(f"the key {repeated!r} stands twice in one object")
    return members


def _refuse(value: object, path: str) -> None:
    """Raise for the first part that JSON cannot hold; return if there is none."""
    waiting = [(path, value, 0)]
    while waiting:
        here, part, depth = waiting.pop()
        reason = _reason_against(part)
        if depth > MAX_DEPTH:
            here, reason = path, f"contains itself, or is nested over {MAX_DEPTH} levels deep"
        if reason:
            raise InvalidContextValueError(here, reason)
        if isinstance(part, dict | list | tuple):
            children = list(_members(part, here))
            waiting.extend((where, child, depth + 1) for where, child in reversed(children))


def _reason_against(part: object) -> str:
    match part:
        case None | bool() | list() | tuple():
            return ""
        case int():
            return _reason_against_integer(part)
        case float():
            return "" if math.isfinite(part) else f"is {part}, which is no JSON number"
        case str():
            return _reason_against_text(part)
        case dict():
            return next((reason for key in part if (reason := _reason_against_key(key))), "")
        case _:
            return f"is of type {type(part).__name__}, which JSON does not have"


def _reason_against_integer(number: int) -> str:
    try:
        str(number)
    except ValueError:
        return "is an integer with too many digits"
    return ""


def _reason_against_text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"holds a lone surrogate at position {error.start}, which is no character"
    return ""


def _reason_against_key(key: object) -> str:
    if not isinstance(key, str):
        return f"has the key {key!r} of type {type(key).__name__}; keys must be strings"
    return f"has a key that {reason}" if (reason := _reason_against_text(key)) else ""


def _members(
    part: dict[str, object] | list[object] | tuple[object, ...], path: str
) -> Iterator[tuple[str, object]]:
    if isinstance(part, dict):
        yield from ((member_path(path, key), child) for key, child in part.items())
    else:
        yield from ((f"{path}[{index}]", child) for index, child in enumerate(part))


_READER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_CAREFUL_READER = json.JSONDecoder(
    parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_unique
)
