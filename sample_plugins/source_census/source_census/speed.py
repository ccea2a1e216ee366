"""How much faster the native scanner is than the one in Python."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from source_census import native, python
from source_census.census import Census

ROUNDS = 3


def compare(sources: list[bytes]) -> dict[str, Any]:
    """Let both scanners count the same files and return how fast each was, at its best.

    Raises:
        ArithmeticError: if they do not count the same.
    """
    native_s, by_native = _best(native.take, sources)
    python_s, by_python = _best(python.take, sources)
    if by_native != by_python:
        raise ArithmeticError(f"the scanners disagree: {by_native} is not {by_python}")
    megabytes = sum(map(len, sources)) / 1e6
    return {
        "sample_mb": round(megabytes, 3),
        "native_mb_per_s": round(megabytes / native_s, 1),
        "python_mb_per_s": round(megabytes / python_s, 1),
        "times_faster": round(python_s / native_s, 2),
    }


def _best(take: Callable[[Iterable[bytes]], Census], sources: list[bytes]) -> tuple[float, Census]:
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        census = take(sources)
        best_s = min(best_s, time.perf_counter() - started)
    return best_s, census
