"""Let the handle of a body that runs on a thread reach the engine."""

import threading
from typing import Any

from cloacina.executors.crew import Crew, Stand
from cloacina_sdk.asking import Ask, Checkpoint, Reply
from cloacina_sdk.executor import Report
from cloacina_sdk.log_line import progress_line


class ThreadPort:
    """The port of one attempt (see ``cloacina_sdk.port``)."""

    def __init__(self, token: str, report: Report, crew: Crew[Any]) -> None:
        """Ask by ``report`` for a body that one of ``crew`` runs."""
        self._token = token
        self._report = report
        self._stand = Stand(crew)
        self._changed = threading.Condition()
        self._is_cancelled = False
        self._is_alone = False

    def cancel(self) -> None:
        """Tell the body that it is to end. Safe to call from any thread."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Tell the body also that nobody will answer it any more."""
        with self._changed:
            self._is_alone = self._is_cancelled = True
            self._changed.notify_all()

    def end(self) -> None:
        """Take no more answers: the body has ended."""
        self._stand.leave()

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end."""
        return self._is_cancelled

    def progressed(self, progress: float) -> None:
        """Have progress kept with what the attempt says."""
        self._report.said(self._token, progress_line(progress))

    def ask(self, ask: Ask) -> Reply | None:
        """Ask the engine and wait; see ``Port``."""
        replies: list[Reply] = []

        def answer(reply: Reply) -> None:
            with self._changed:
                replies.append(reply)
                self._changed.notify_all()

        self._report.asked(self._token, ask, self._stand.following(ask, answer))
        with self._changed:
            self._changed.wait_for(lambda: replies or self._is_given_up(ask))
            if replies:
                return replies[0]
            return Reply.LOST if self._is_alone else None

    def sleep(self, duration_s: float) -> None:
        """Wait so long, or until the attempt is cancelled."""
        limit_s = min(duration_s, threading.TIMEOUT_MAX)
        with self._changed:
            self._changed.wait_for(lambda: self._is_cancelled, limit_s)

    def _is_given_up(self, ask: Ask) -> bool:
        return self._is_alone or (self._is_cancelled and not isinstance(ask, Checkpoint))
