"""What a task says while it runs: a line of its output, or a log record."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass


class LogSource(enum.StrEnum):
    """Where a line comes from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    LOGGING = "logging"
    PROGRESS = "progress"
    """How far the body is, as a number from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One thing that an attempt said.

    Attributes:
        text: without the newline at its end; a log record may have several lines.
        level: as `logging` counts; INFO for both output streams.
        logger: the logger's name; "" for output streams.
    """

    source: LogSource
    text: str
    level: int = logging.INFO
    logger: str = ""


def progress_line(progress: float) -> LogLine:
    """Return what is kept of the progress that a body tells by its handle."""
    return LogLine(source=LogSource.PROGRESS, text=f"{progress:g}")
