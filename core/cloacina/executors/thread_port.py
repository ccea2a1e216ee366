"""Let the handle of a body that runs on a thread reach the engine."""

import threading
from dataclasses import dataclass
from typing import Any

from cloacina.executors.crew import Crew
from cloacina_sdk.asking import Ask, Checkpoint, Park, Reply
from cloacina_sdk.executor import Report
from cloacina_sdk.log_line import progress_line


@dataclass(slots=True)
class _Question:
    ask: Ask
    thread: threading.Thread
    reply: Reply | None = None
    is_closed: bool = False
    """Whether nobody waits for the reply any more."""


class ThreadPort:
    """The port of one attempt (see ``cloacina_sdk.port``)."""

    def __init__(self, token: str, report: Report, crew: Crew[Any]) -> None:
        """Ask by ``report`` for a body that one of ``crew`` runs."""
        self._token = token
        self._report = report
        self._crew = crew
        self._changed = threading.Condition()
        self._is_cancelled = False
        self._is_alone = False

    def cancel(self) -> None:
        """Tell the body that it is to end. Safe to call from any thread."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def close(self) -> None:
        """Tell the body also that nobody will answer it any more."""
        with self._changed:
            self._is_alone = self._is_cancelled = True
            self._changed.notify_all()

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end."""
        return self._is_cancelled

    def progressed(self, progress: float) -> None:
        """Have progress kept with what the attempt says."""
        self._report.said(self._token, progress_line(progress))

    def ask(self, ask: Ask) -> Reply | None:
        """Ask the engine and wait; see ``Port``."""
        question = _Question(ask, threading.current_thread())
        self._report.asked(self._token, ask, lambda reply: self._answer(question, reply))
        with self._changed:
            self._changed.wait_for(lambda: question.reply or self._is_given_up(ask))
            question.is_closed = True
            if question.reply is None and self._is_alone:
                return Reply.LOST
            return question.reply

    def sleep(self, duration_s: float) -> None:
        """Wait so long, or until the attempt is cancelled."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_cancelled, min(duration_s, threading.TIMEOUT_MAX)
            )

    def _answer(self, question: _Question, reply: Reply) -> None:
        with self._changed:
            if question.is_closed or question.reply is not None:
                return
            question.reply = reply
            if reply is Reply.DONE and not isinstance(question.ask, Checkpoint):
                move = self._crew.park if isinstance(question.ask, Park) else self._crew.unpark
                move(question.thread)
            self._changed.notify_all()

    def _is_given_up(self, ask: Ask) -> bool:
        return self._is_alone or (self._is_cancelled and not isinstance(ask, Checkpoint))
