"""The side file: what bodies and submitters did, line by line, in the order in which they did it.

Every line is one append of a few bytes, which no other process can split. A process that is killed
between two lines leaves a beginning without an end.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Word(StrEnum):
    """What a line tells."""

    ACCEPTED = "accepted"
    """A submission returned; the subject is the execution's id."""
    BEGAN = "began"
    """A body began; the subject is its task."""
    ENDED = "ended"
    """A body returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a side file."""

    at_us: int
    word: Word
    run: int
    subject: str
    element: int | None

    def text(self) -> str:
        """Return it as it is written."""
        element = "-" if self.element is None else self.element
        return f"{self.at_us} {self.word} {self.run} {self.subject} {element}\n"

    @classmethod
    def parse(cls, text: str) -> "Line":
        """Read what ``text`` returned."""
        at_us, word, run, subject, element = text.split()
        return cls(
            at_us=int(at_us),
            word=Word(word),
            run=int(run),
            subject=subject,
            element=None if element == "-" else int(element),
        )


class SideFile:
    """Appends to one. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def accepted(self, run: int, execution_id: str) -> None:
        """Note that a submission was confirmed."""
        self._append(Word.ACCEPTED, run, execution_id, None)

    @contextmanager
    def body(self, run: int, task: str, element: int | None = None) -> Iterator[None]:
        """Note when a body begins, and that it returned."""
        self._append(Word.BEGAN, run, task, element)
        yield
        self._append(Word.ENDED, run, task, element)

    def _append(self, word: Word, run: int, subject: str, element: int | None) -> None:
        at_us = time.time_ns() // 1000
        line = Line(at_us=at_us, word=word, run=run, subject=subject, element=element)
        os.write(self._descriptor, line.text().encode())


def read(path: Path) -> list[Line]:
    """Return all lines in their order."""
    return [Line.parse(text) for text in path.read_text().splitlines()]
