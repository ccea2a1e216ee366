"""The scanner in pure Python: the same counts, to compare with and to be measured against."""

import re
from collections import Counter
from collections.abc import Iterable

from source_census.census import Census, name_of

_LETTER = rb"A-Za-z_\x80-\xff"
_TOKEN = re.compile(
    rb"[" + _LETTER + rb"][" + _LETTER + rb"0-9]*"
    rb"|[0-9][" + _LETTER + rb"0-9.]*"
    rb"|[!%&*+\-./:<=>@^|~]+"
)
_DIGITS = frozenset(b"0123456789")
_OPERATORS = frozenset(b"!%&*+-./:<=>@^|~")


def take(sources: Iterable[bytes]) -> Census:
    """Count several files together."""
    tokens: Counter[bytes] = Counter()
    lines = longest_line = 0
    for source in sources:
        tokens.update(_TOKEN.findall(source))
        lines += source.count(b"\n") + (source[-1:] not in (b"", b"\n"))
        longest_line = max(longest_line, *map(len, source.split(b"\n")))
    counts: dict[str, int] = {}
    numbers = operators = 0
    for token, count in tokens.items():
        if token[0] in _DIGITS:
            numbers += count
        elif token[0] in _OPERATORS:
            operators += count
        else:
            counts[name_of(token)] = count
    return Census(
        lines=lines,
        longest_line=longest_line,
        identifiers=sum(counts.values()),
        numbers=numbers,
        operators=operators,
        counts=counts,
    )
