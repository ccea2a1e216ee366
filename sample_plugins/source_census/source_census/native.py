"""The scanner in C, called through CFFI."""

from collections.abc import Iterable
from itertools import accumulate, pairwise

from source_census._native import ffi, lib
from source_census.census import Census, name_of


def take(sources: Iterable[bytes]) -> Census:
    """Count several files together; the interpreter lock is free meanwhile."""
    census = ffi.gc(lib.census_new(), lib.census_free)
    if census == ffi.NULL:
        raise MemoryError
    for source in sources:
        if lib.census_scan(census, ffi.from_buffer(source), len(source)) != 0:
            raise MemoryError
    totals = lib.census_sum(census)
    return Census(
        lines=totals.lines,
        longest_line=totals.longest_line,
        identifiers=totals.identifiers,
        numbers=totals.numbers,
        operators=totals.operators,
        counts=_counts(census, totals.distinct, totals.text_bytes),
    )


def _counts(census: object, distinct: int, text_bytes: int) -> dict[str, int]:
    text = ffi.new("uint8_t[]", text_bytes)
    lengths = ffi.new("uint64_t[]", distinct)
    counts = ffi.new("uint64_t[]", distinct)
    lib.census_export(census, text, lengths, counts)
    raw = bytes(ffi.buffer(text))
    ends = accumulate(ffi.unpack(lengths, distinct), initial=0)
    names = (name_of(raw[start:end]) for start, end in pairwise(ends))
    return dict(zip(names, ffi.unpack(counts, distinct), strict=True))
