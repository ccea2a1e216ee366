"""Show a JSON value to people: what fits on a line stays on it, what is long is cut."""

from collections.abc import Iterator, Mapping

from cloacina.ctl.escaping import escaped
from cloacina_sdk.json_text import JsonValue, decode, encode

_LINE = 72
_DEEPEST = 8
_LONGEST_TEXT = 4000
_MOST_LINES = 48
_SHOWN = 100


def member_lines(key: str, text: str) -> list[str]:
    """Return the lines of one member of an object, whose value is given as compact JSON."""
    if len(text) <= _LONGEST_TEXT:
        lines = list(_lines(decode(text), f"{key}: ", "", 0))
        if len(lines) <= _MOST_LINES:
            return [escaped(line) for line in lines]
    return [f"{escaped(f'{key}: {text[:_SHOWN]}')}... ({len(text):,} characters; --json shows all)"]


def _lines(value: JsonValue, start: str, indent: str, depth: int) -> Iterator[str]:
    whole = f"{indent}{start}{encode(value)}"
    if len(whole) <= _LINE or depth == _DEEPEST:
        yield whole
    elif isinstance(value, Mapping):
        yield f"{indent}{start}{{"
        for key, member in value.items():
            yield from _lines(member, f"{encode(key)}: ", f"{indent}  ", depth + 1)
        yield f"{indent}}}"
    elif isinstance(value, list):
        yield f"{indent}{start}["
        for item in value:
            yield from _lines(item, "", f"{indent}  ", depth + 1)
        yield f"{indent}]"
    else:
        yield whole
