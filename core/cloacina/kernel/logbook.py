"""What attempts say while they run, until it is stored.

* Lines are written by any thread, numbered and timed as they come, and taken by the kernel: those
  of an attempt along with its end, the others once they have waited for a moment, so that they are
  there to be read while a long attempt runs, and after its runner died.
* Of one attempt a limited number of lines and bytes is kept; the last line says that there was more.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from cloacina.kernel.clock import Clock
from cloacina.planner.events import (
    AttemptSaid,
    Event,
    Requested,
    SaidLine,
    TimePassed,
)
from cloacina_sdk.log_line import LogLine, LogSource

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 1024 * 1024
LONGEST_LINE_BYTES: Final = 64 * 1024
PATIENCE_US: Final = 1_000_000
"""How long a line may wait before it is stored."""
_HIGHEST_LEVEL = 1_000_000
_LONGEST_LOGGER = 200

_CUT = LogLine(
    source=LogSource.LOGGING,
    level=logging.WARNING,
    logger="cloacina",
    text=f"the rest was left out: {MOST_LINES:,} lines and {MOST_BYTES:,} bytes are kept of one attempt",
)


@dataclass(slots=True)
class _Page:
    """The lines of one attempt."""

    execution_id: str
    task_number: int
    is_guest: bool
    waiting: list[SaidLine] = field(default_factory=list)
    count: int = 0
    size_bytes: int = 0
    is_full: bool = False

    def take(self) -> tuple[SaidLine, ...]:
        lines, self.waiting = tuple(self.waiting), []
        return lines


class LogBook:
    """The lines of the attempts that run here. ``write`` is safe to call from any thread."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        """Call ``wake`` when the first line waits after a time without any."""
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        self._pages: dict[str, _Page] = {}
        self._due_us: int | None = None

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which lines that wait should be stored, if any do."""
        return self._due_us

    def open(
        self, token: str, execution_id: str, task_number: int, *, is_guest: bool = False
    ) -> None:
        """Begin a page for an attempt; what is said without one is dropped.

        The lines of a guest stay here until ``close``: its execution is planned elsewhere.
        """
        with self._lock:
            self._pages[token] = _Page(execution_id, task_number, is_guest)

    def close(self, token: str) -> tuple[SaidLine, ...]:
        """End the page of an attempt; return the lines that were not taken."""
        with self._lock:
            page = self._pages.pop(token, None)
        return () if page is None else tuple(page.waiting)

    def write(self, token: str, line: LogLine) -> None:
        """Add a line to an attempt's page."""
        now = self._clock.now()
        with self._lock:
            page = self._pages.get(token)
            if page is None or page.is_full:
                return
            _add(page, line, now.utc_us)
            is_first = self._due_us is None and not page.is_guest
            if is_first:
                self._due_us = now.monotonic_us + PATIENCE_US
        if is_first:
            self._wake()

    def before(self, event: Event) -> Iterator[AttemptSaid]:
        """Yield what has to be taken before ``event``, which may settle attempts that run."""
        if isinstance(event, TimePassed | Requested):
            yield from self.take_all()

    def take_due(self, now_us: int) -> Iterator[AttemptSaid]:
        """Yield what has waited long enough, and everything else along with it."""
        if self._due_us is not None and self._due_us <= now_us:
            yield from self.take_all()

    def take_all(self) -> Iterator[AttemptSaid]:
        """Yield everything that waits."""
        if self._due_us is None:
            return
        with self._lock:
            self._due_us = None
            said = [
                _said(page.execution_id, page.task_number, token, page.take())
                for token, page in self._pages.items()
                if page.waiting and not page.is_guest
            ]
        yield from said


def _add(page: _Page, line: LogLine, at_us: int) -> None:
    raw = line.text.encode("utf-8", "backslashreplace")
    size_bytes = min(len(raw), LONGEST_LINE_BYTES)
    has_room = page.count < MOST_LINES and page.size_bytes + size_bytes <= MOST_BYTES
    kept = line if has_room else _CUT
    text = kept.text
    if has_room and len(raw) > LONGEST_LINE_BYTES:
        text = raw[:LONGEST_LINE_BYTES].decode("utf-8", "ignore") + " ..."
    page.count += 1
    page.size_bytes += size_bytes
    page.is_full = not has_room
    said = SaidLine(
        seq=page.count,
        at_us=at_us,
        source=kept.source.value,
        level=max(-_HIGHEST_LEVEL, min(kept.level, _HIGHEST_LEVEL)),
        logger=kept.logger[:_LONGEST_LOGGER],
        text=text,
    )
    page.waiting.append(said)


def _said(
    execution_id: str, task_number: int, token: str, lines: tuple[SaidLine, ...]
) -> AttemptSaid:
    return AttemptSaid(execution_id=execution_id, task_number=task_number, token=token, lines=lines)
