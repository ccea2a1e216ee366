"""What other threads leave for the kernel.

Rules it upholds:

* once it is closed nothing is taken in that somebody waits for, and nothing slips in behind the
  last look: whoever asks for something either is heard or is told why not;
* the kernel's own thread never waits for itself.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias

from cloacina.errors import EngineError, EngineThreadError, KernelFailedError, RunnerClosedError
from cloacina.kernel.asks import Asked
from cloacina.kernel.requests import (
    Ask,
    Await,
    Inquire,
    LookAround,
    Request,
    Retry,
    Submission,
)
from cloacina.kernel.waiters import refuse
from cloacina.planner.events import AttemptEnded, ConditionTold
from cloacina_sdk.executor import Reply

Message: TypeAlias = Request | AttemptEnded | Asked | ConditionTold


class Inbox:
    """Messages in the order in which they came. All but ``take`` is safe from any thread."""

    def __init__(self) -> None:
        """Begin empty, and open."""
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._failure: KernelFailedError | None = None
        self._is_closed = False
        self._is_over = False
        """Whether nobody takes messages any more."""
        self._in_hand: Message | None = None
        """What is being taken just now: if that fails, whoever sent it is told."""
        self.reader: threading.Thread | None = None
        """The thread that takes what comes; it must not wait for an answer of its own."""

    @property
    def is_empty(self) -> bool:
        """Whether no message waits."""
        return self._messages.empty()

    @property
    def failure(self) -> KernelFailedError | None:
        """Why nobody takes messages any more, if that is a failure."""
        return self._failure

    def put(self, message: Message) -> None:
        """Leave a message.

        Raises:
            RunnerClosedError: for a submission or wait once it is closed.
            KernelFailedError: likewise, after the kernel failed.
            EngineThreadError: likewise, on the kernel's own thread.
        """
        if isinstance(message, Submission | Await | Ask | Retry | Inquire):
            self.refuse_reader()
            with self._gate:  # no submission may slip in behind the last look
                if self._failure is not None:
                    raise self._failure
                if self._is_closed:
                    raise RunnerClosedError
                self._messages.put(message)
        elif isinstance(message, Asked):
            with self._gate:
                is_over = self._is_over
                if not is_over:
                    self._messages.put(message)
            if is_over:
                message.answer(Reply.LOST)
        else:
            self._messages.put(message)

    def look_around(self) -> None:
        """Have the kernel look around."""
        self._messages.put(LookAround())

    def refuse_reader(self) -> None:
        """Make sure that it is not the reader who is about to wait.

        Raises:
            EngineThreadError: if it is.
        """
        if threading.current_thread() is self.reader:
            raise EngineThreadError

    def close(self) -> None:
        """Take in nothing more that somebody waits for."""
        with self._gate:
            self._is_closed = True

    def fail(self, error: BaseException) -> None:
        """Tell everybody from now on that the kernel failed."""
        with self._gate:
            self._failure = KernelFailedError(error)

    def take(self, patience_s: float | None) -> Iterator[Message]:
        """Yield the first message that comes in time, and all that are there then."""
        try:
            self._in_hand = self._messages.get(timeout=patience_s)
        except queue.Empty:
            return
        yield self._in_hand
        for _ in range(self._messages.qsize()):
            self._in_hand = self._messages.get()
            yield self._in_hand
        self._in_hand = None

    def dismiss(self, error: EngineError) -> None:
        """Close for good; whoever left a message that was not taken, or not wholly, is told why."""
        with self._gate:
            self._is_closed = self._is_over = True
            left = [self._messages.get() for _ in range(self._messages.qsize())]
        if self._in_hand is not None:
            refuse(_waiting_for(self._in_hand), error)
        for message in left:
            refuse(_waiting_for(message), error)
            if isinstance(message, Asked):
                message.answer(Reply.LOST)


def _waiting_for(message: Message) -> Sequence[Future[Any]]:
    """Return what whoever sent a message waits for."""
    match message:
        case Submission():
            return [message.accepted, message.ended]
        case Await():
            return [message.ended]
        case Ask() | Inquire():
            return [message.answered]
        case Retry():
            return [message.reopened]
        case _:
            return []
