r"""JSON for documents that are signed or that decide about trust.

Rules, each of which closes a disagreement between parsers:

* UTF-8 without byte order mark; one value and nothing after it.
* No key twice in one object; no NaN, no Infinity, no number that overflows into one.
* Integers fit in 64 signed bits; strings and keys hold no lone surrogate.
* The size and the nesting are capped before anything is parsed, so that no input can exhaust
  the interpreter's stack.
* `dumps` writes one canonical form: keys sorted by code point, no spaces, UTF-8, a newline at the
  end; what it writes, `parse` reads back equal.

Source: RFC 8259, with the stricter choices of RFC 7493 (I-JSON).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cloacina_signing.errors import StrictJsonError, shown

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
_PlainValue: TypeAlias = (
    "bool | int | float | str | list[_PlainValue] | dict[str, _PlainValue] | None"
)

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
_MAX_INTEGER = 2**63 - 1
_MIN_INTEGER = -(2**63)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# A whole string, closed or running to the end of the text, or one bracket. Possessive and anchored
# at the end, so that an unclosed string is scanned once and not once per quote in it.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in a parsed tree for what is refused, until the walk can name its place."""

    fact: str


def parse(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Read one JSON value from UTF-8 bytes.

    Raises:
        StrictJsonError: the text breaks a rule of this module; names the position or key path.
    """
    if len(raw) > max_bytes:
        raise StrictJsonError("byte 0", f"{len(raw)} bytes, at most {max_bytes} are read")
    text = _decode(raw)
    _check_depth(text, max_depth)
    try:
        tree: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_real,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise StrictJsonError(where, error.msg) from error
    return _plain(tree, "$", max_depth)


def dumps(value: JsonValue) -> bytes:
    """Write the canonical form of a value, ended by a newline.

    Raises:
        StrictJsonError: the value holds something that `parse` would refuse.
    """
    plain = _plain(value, "$", MAX_DEPTH)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def key_path(parent: str, key: str) -> str:
    """Extend a key path by one key: ``$.a`` or, for an unusual key, ``$['a b']``."""
    return f"{parent}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{parent}[{shown(key)}]"


def _decode(raw: bytes) -> str:
    if raw.startswith(_BYTE_ORDER_MARK):
        raise StrictJsonError("byte 0", "a byte order mark is not allowed")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"byte {error.start}", "the text is not UTF-8") from error


def _check_depth(text: str, max_depth: int) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match[0]
        if mark in ("[", "{"):
            depth += 1
            if depth > max_depth:
                fact = f"nested deeper than {max_depth} levels"
                raise StrictJsonError(f"character {match.start()}", fact)
        elif mark in ("]", "}"):
            depth -= 1


def _object(pairs: list[tuple[str, object]]) -> object:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return _Refused(f"the key {shown(key)} appears twice in one object")
        seen.add(key)
    return dict(pairs)


def _constant(name: str) -> object:
    return _Refused(f"{name} is not a JSON number")


def _integer(digits: str) -> object:
    # The length is looked at first: converting a long run of digits takes quadratic time.
    if len(digits) <= 20 and _MIN_INTEGER <= (number := int(digits)) <= _MAX_INTEGER:
        return number
    return _Refused("an integer beyond 64 signed bits")


def _real(digits: str) -> object:
    number = float(digits)
    return number if math.isfinite(number) else _Refused("a number beyond the range of a double")


def _plain(value: object, path: str, depth_left: int) -> _PlainValue:
    """Check a tree and copy it to plain dicts and lists; recursion is bounded by `depth_left`."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return _scalar(value, path)
    if isinstance(value, _Refused):
        raise StrictJsonError(path, value.fact)
    if depth_left <= 0:
        raise StrictJsonError(path, "nested too deep")
    if isinstance(value, Mapping):
        return {
            _key(key, path): _plain(member, key_path(path, str(key)), depth_left - 1)
            for key, member in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_plain(item, f"{path}[{i}]", depth_left - 1) for i, item in enumerate(value)]
    raise StrictJsonError(path, f"a {type(value).__name__} is not a JSON value")


def _scalar(value: str | float | None, path: str) -> bool | int | float | str | None:
    match value:
        case str():
            _check_text(value, path)
        case bool() | None:
            pass
        case int() if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise StrictJsonError(path, "an integer beyond 64 signed bits")
        case float() if not math.isfinite(value):
            raise StrictJsonError(path, f"{value} is not a JSON number")
        case _:
            pass
    return value


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise StrictJsonError(path, f"a key of type {type(key).__name__}; keys are strings")
    _check_text(key, path)
    return key


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        fact = f"{shown(text)} holds half of a surrogate pair"
        raise StrictJsonError(path, fact) from error
