"""Ask a worker one thing at a time, and tell apart an answer, a death and a lie.

* What was read before the worker died counts: an answer that arrived whole is the answer.
* The first frame that breaks the protocol kills the worker; so does a caller's exception.
* A worker asks back only where that was allowed, under the token of what runs, and for one thing
  at a time.
* What a worker says while nobody asked goes to this module's logger.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from cloacina_native.connection import Connection, Output
from cloacina_native.errors import DeadlineError, FrameTooLargeError, ProtocolError
from cloacina_native.launch import Launched
from cloacina_native.log_lines import AttemptLog, LogLine
from cloacina_native.process_group import ProcessGroup, describe_status
from cloacina_native.replies import Asked, Logged, Reply, parse_reply
from cloacina_sdk import asking
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.outcome import TaskFailure, failure_of

CRASHED: Final = "WorkerCrashed"
INTERRUPTED: Final = "WorkerInterrupted"
TIMED_OUT: Final = "WorkerTimedOut"
DISTRUSTED: Final = "WorkerProtocolError"

_LOGGER = logging.getLogger(__name__)
_GRACE_S = 1.0  # from the end of the connection to the end of the process
_WHILE_IDLE = "was idle"
_TRANSIENT = frozenset((CRASHED, INTERRUPTED, TIMED_OUT))

A = TypeVar("A", bound=Reply)
OnAsk: TypeAlias = Callable[[asking.Ask, Callable[[asking.Reply], None]], None]
"""Takes what a worker asks for, and whom to tell the answer: once, on any thread, any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[A]):
    """Something to ask a worker.

    Attributes:
        token: under which the answer, and log records about it, come; "" for none.
        doing: what the worker does meanwhile, in words that follow "while it".
        accept: returns the reply if it is an answer to this, else None.
        deadline: on the monotonic clock; None waits without end.
        on_ask: takes what the worker asks for meanwhile; None where it may ask for nothing.
    """

    header: Mapping[str, JsonValue]
    body: bytes
    token: str
    doing: str
    accept: Callable[[Reply], A | None]
    deadline: float | None = None
    on_ask: OnAsk | None = None


class Conversation:
    """The exchange with one worker, led by one thread at a time.

    Args:
        launched: whose socket and output pipes belong to the conversation from now on.
        name: what the logger calls the worker.
    """

    def __init__(self, launched: Launched, name: str) -> None:
        self.group: Final = ProcessGroup(launched.process)
        self._connection = Connection(launched, self.group.end_descriptor)
        self._name = name
        self._end: TaskFailure | None = None
        self._stopped = ""

    @property
    def is_over(self) -> bool:
        """Whether the worker ended, or is about to because the host stopped it."""
        return self._end is not None or bool(self._stopped) or self.group.has_ended()

    def ask(self, question: Question[A], log: AttemptLog) -> A | TaskFailure:
        """Ask and wait for the answer; return a failure where there will be none.

        What the worker says meanwhile goes to the log.
        """
        self.settle()
        if self._end is not None:
            message = f"the worker had ended before: {self._end.message}"
            return TaskFailure(error_type=CRASHED, message=message, traceback="", is_transient=True)
        try:
            return self._answer(question, log)
        except DeadlineError:
            return self._kill(TIMED_OUT, f"it {question.doing} for too long")
        except (ProtocolError, FrameTooLargeError) as error:
            return self._kill(DISTRUSTED, str(error))
        except BaseException:
            self._kill(INTERRUPTED, "the host gave up waiting")
            raise

    def post(self, header: Mapping[str, JsonValue]) -> None:
        """Have the worker sent something while it works on a question, this one or the next.

        Callable by any thread.
        """
        self._connection.post(header)

    def settle(self) -> None:
        """Read what came while nobody asked."""
        if self._end is not None:
            return
        log = AttemptLog(self.log_outside)
        try:
            self._expect_nothing(log, time.monotonic())
            self._bury(_WHILE_IDLE, log)
        except DeadlineError:
            log.close()  # it lives, and has said everything that it had to say
        except (ProtocolError, FrameTooLargeError) as error:
            self._kill(DISTRUSTED, str(error))

    def stop(self, reason: str) -> None:
        """Let the worker see the end of its input and wake who waits; callable by any thread."""
        self._stopped = self._stopped or reason
        self._connection.shut_down()

    def close(self) -> None:
        """Free every descriptor; the process has been reaped before."""
        self._connection.close()
        self.group.close()

    def log_outside(self, line: LogLine) -> None:
        """Write a line that belongs to no attempt to the host's log."""
        _LOGGER.log(line.level, "worker of %s: %s: %s", self._name, line.source, line.text)

    def _answer(self, question: Question[A], log: AttemptLog) -> A | TaskFailure:
        try:
            self._connection.send(question.header, question.body)
        except FrameTooLargeError as error:
            return failure_of(error)
        self._connection.send_posted()
        desk = _Desk(question, self.post)
        try:
            for reply in self._replies(question.token, log, question.deadline):
                if isinstance(reply, Asked):
                    desk.take(reply)
                    continue
                answer = question.accept(reply)
                if answer is None:
                    raise ProtocolError(f"{type(reply).__name__} does not answer what was asked")
                return answer
        finally:
            desk.close()
        return self._bury(question.doing, log)

    def _expect_nothing(self, log: AttemptLog, deadline: float | None) -> None:
        for reply in self._replies("", log, deadline):
            raise ProtocolError(f"{type(reply).__name__} without being asked")

    def _replies(self, token: str, log: AttemptLog, deadline: float | None) -> Iterator[Reply]:
        may_send = bool(token)
        while (event := self._connection.next_event(deadline, may_send=may_send)) is not None:
            if isinstance(event, Output):
                log.write(event.source, event.chunk)
            elif not isinstance(reply := parse_reply(event), Logged):
                yield reply
            elif reply.token == token:
                log.add(reply.line)
            else:
                self.log_outside(reply.line)  # of a thread that an earlier attempt left behind

    def _bury(self, doing: str, log: AttemptLog) -> TaskFailure:
        ended_by_itself = self.group.has_ended(_GRACE_S)
        status = self.group.reap()
        self._expect_nothing(log, deadline=None)  # but its last words
        if self._stopped:
            return self._ended(INTERRUPTED, f"the worker was {self._stopped} while it {doing}")
        if not ended_by_itself:
            return self._kill(CRASHED, f"it closed its connection while it {doing}")
        hint = " (killed by somebody, or memory ran out)" if status == -signal.SIGKILL else ""
        return self._ended(CRASHED, f"the worker {describe_status(status)}{hint} while it {doing}")

    def _kill(self, error_type: str, reason: str) -> TaskFailure:
        self.group.reap()
        return self._ended(error_type, f"the worker was killed: {reason}")

    def _ended(self, error_type: str, message: str) -> TaskFailure:
        self._end = TaskFailure(
            error_type=error_type,
            message=message,
            traceback="",
            is_transient=error_type in _TRANSIENT,
        )
        return self._end


class _Desk(Generic[A]):
    """Takes what a worker asks for while it works on a question, one thing at a time."""

    def __init__(
        self, question: Question[A], post: Callable[[Mapping[str, JsonValue]], None]
    ) -> None:
        self._question = question
        self._post = post
        self._lock = threading.Lock()
        self._open: Asked | None = None

    def take(self, asked: Asked) -> None:
        """Hand on what is asked for.

        Raises:
            ProtocolError: if it must not be asked.
        """
        if self._question.on_ask is None or asked.token != self._question.token:
            raise ProtocolError("it asks for something where it may not")
        with self._lock:
            if self._open is not None:
                raise ProtocolError("it asks for something before it was answered")
            self._open = asked
        self._question.on_ask(asked.ask, lambda reply: self._answer(asked, reply))

    def close(self) -> None:
        """Drop every answer that is still to come."""
        with self._lock:
            self._open = None

    def _answer(self, asked: Asked, reply: asking.Reply) -> None:
        with self._lock:
            if self._open is not asked:
                return
            self._open = None
        self._post({"type": "reply", "token": asked.token, "reply": reply.value})
