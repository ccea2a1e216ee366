"""What a task says while it runs: lines of its output streams, and its log records.

* Output that is no UTF-8 is shown with escapes, and so is NUL, which databases do not store.
* Of one attempt at most `ATTEMPT_LIMIT_BYTES` are kept; the last line then says what is missing.
"""

from __future__ import annotations

import codecs
import logging
from collections.abc import Callable

from cloacina_sdk.log_line import LogLine, LogSource

__all__ = ["ATTEMPT_LIMIT_BYTES", "AttemptLog", "LogLine", "LogSource", "printable"]

ATTEMPT_LIMIT_BYTES = 1024 * 1024
LINE_LIMIT_CHARACTERS = 16 * 1024


class AttemptLog:
    """Cut an attempt's output in lines and hand them on, up to the limit.

    Args:
        on_line: called with each line in the thread that feeds the log.
    """

    def __init__(self, on_line: Callable[[LogLine], None]) -> None:
        self._on_line = on_line
        self._kept_bytes = 0
        self._dropped_bytes = 0
        self._streams: dict[LogSource, _Stream] = {}

    def write(self, source: LogSource, chunk: bytes) -> None:
        """Add output of one of the two streams."""
        kept = chunk[: self._room(len(chunk))]
        if source not in self._streams:
            self._streams[source] = _Stream()
        for text in self._streams[source].feed(kept):
            self._on_line(LogLine(source=source, text=text))

    def add(self, line: LogLine) -> None:
        """Add a log record; one that does not fit whole is dropped."""
        size = len(line.text.encode("utf-8", "surrogatepass"))
        if self._room(size) == size:
            self._on_line(line)

    def close(self) -> None:
        """Hand on unfinished lines and, if something was dropped, say how much."""
        for source, stream in self._streams.items():
            for text in stream.finish():
                self._on_line(LogLine(source=source, text=text))
        if self._dropped_bytes:
            text = (
                f"{self._dropped_bytes:,} bytes of output were dropped: "
                f"{ATTEMPT_LIMIT_BYTES:,} are kept of one attempt"
            )
            warning = LogLine(
                source=LogSource.LOGGING, text=text, level=logging.WARNING, logger=__name__
            )
            self._on_line(warning)

    def _room(self, size: int) -> int:
        kept = 0 if self._dropped_bytes else min(size, ATTEMPT_LIMIT_BYTES - self._kept_bytes)
        self._kept_bytes += kept
        self._dropped_bytes += size - kept
        return kept


class _Stream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""

    def feed(self, chunk: bytes, *, is_last: bool = False) -> list[str]:
        *lines, self._rest = (self._rest + self._decoder.decode(chunk, is_last)).split("\n")
        while len(self._rest) > LINE_LIMIT_CHARACTERS:
            lines.append(self._rest[:LINE_LIMIT_CHARACTERS])
            self._rest = self._rest[LINE_LIMIT_CHARACTERS:]
        return [printable(line.removesuffix("\r")) for line in lines]

    def finish(self) -> list[str]:
        lines = self.feed(b"", is_last=True)
        rest, self._rest = self._rest, ""
        return [*lines, printable(rest)] if rest else lines


def printable(text: str) -> str:
    """Return a text without NUL."""
    return text.replace("\x00", "\\x00")
