"""What the handles of sync and of async bodies have in common."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from cloacina_sdk.asking import Ask, Checkpoint, Park, Reply
from cloacina_sdk.course import Course
from cloacina_sdk.errors import (
    CheckpointTooLargeError,
    HandleMisuseError,
    InvalidProgressError,
    WaitTimedOutError,
)
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.mapped import Element
from cloacina_sdk.port import AnyPort
from cloacina_sdk.unwinding import AttemptStopped
from cloacina_sdk.wait_condition import Duration, Poll, read_condition
from cloacina_sdk.waiting import LARGEST_CHECKPOINT_BYTES, Memory, Wait

HEARTBEAT_S: Final = 1.0
"""How often progress is passed on at most."""
_CANCELLED: Final = "it was cancelled"
_LOST: Final = "it is not the one that runs any more"


def attempt_key(execution_id: str, task_id: str, element: Element | None = None) -> str:
    """Return what is the same for all attempts of a task in an execution, and for no others."""
    place = f"{execution_id}/{task_id}"
    return place if element is None else f"{place}/{element.index}"


class AnyHandle:
    """What the handles of sync and of async bodies have in common.

    Args:
        port: of whoever runs the body.
        memory: what earlier runs left.
        key: what `attempt_key` returned.
        clock: seconds from any point on.
    """

    def __init__(
        self,
        port: AnyPort,
        memory: Memory,
        key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._any_port = port
        self._course = Course(memory.waits)
        self._checkpoint = memory.checkpoint
        self._key = key
        self._clock = clock
        self._process = os.getpid()
        self._body: object = None
        self._is_over = False
        self._is_polling = False
        self._is_parked = False
        self._stopped: str | None = None
        self._told_at_s: float | None = None

    @property
    def attempt_key(self) -> str:
        """What is the same for all attempts of this task, or element, in this execution.

        Hand it to whatever the body calls outside, so that it can tell a repetition.
        """
        return self._key

    @property
    def last_checkpoint(self) -> JsonValue:
        """The value that an earlier run of this task stored last; None if there is none."""
        return None if self._checkpoint is None else decode(self._checkpoint)

    def is_slot_held(self) -> bool:
        """Whether the attempt takes a slot; it does not while it waits for a function."""
        return not self._is_parked

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end; also once it has ended. Any thread may ask."""
        self._check_process()
        return self._is_over or self._stopped is not None or self._any_port.is_cancelled()

    def heartbeat(self, progress: float | None = None) -> bool:
        """Tell how far the body is, and return whether the attempt is to end.

        About one figure a second is kept with what the attempt says. Any thread may tell.

        Args:
            progress: from 0 to 1.

        Raises:
            InvalidProgressError: if it is no such number.
        """
        is_cancelled = self.is_cancelled()
        if progress is not None:
            _check_progress(progress)
            now_s = self._clock()
            is_due = self._told_at_s is None or now_s - self._told_at_s >= HEARTBEAT_S
            if is_due and not self._is_over:
                self._told_at_s = now_s
                self._any_port.progressed(progress)
        return is_cancelled

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the body, which runs inside, to its course; after that the handle is of no use.

        Raises:
            Deferred: if the run ended to wait.
            ChangedCourseError: if the body came to another wait than an earlier run.
            SwallowedDeferralError: if it went on after its run had ended.
        """
        self._body = self._caller()
        try:
            with self._course.followed():
                yield
        finally:
            self._is_over = True
            self._body = None

    def _caller(self) -> object:
        """Return what tells the body apart from everything that runs beside it."""
        return threading.get_ident()

    def _check(self, doing: str) -> None:
        """Refuse what only the body may do, and only while it runs."""
        self._check_process()
        if self._is_over:
            raise HandleMisuseError(f"The attempt has ended; its handle cannot {doing} any more")
        if self._body is None or self._caller() != self._body:
            raise HandleMisuseError(
                f"A handle can {doing} only in the thread, and the asyncio task, that the task's "
                "function was called in"
            )

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise HandleMisuseError("A handle is of no use in a process that the body forked")

    def _passed(self, wait: Wait) -> JsonValue:
        """Return what came with a wait that is behind; end the run at one that lies ahead."""
        passed = self._course.come_to(wait)
        if passed is None:
            self._check_cancelled()
            raise self._course.end_at(wait)
        if passed.is_timed_out:
            raise WaitTimedOutError(str(wait), wait.timeout_ms)
        return None if passed.payload is None else decode(passed.payload)

    def _read(
        self,
        condition: object,
        *,
        poll_interval: Duration | None,
        poll_interval_ms: int | None,
        timeout: Duration | None,
    ) -> Wait | Poll:
        self._check("wait")
        if self._is_polling:
            raise HandleMisuseError("A function that is waited for cannot wait itself")
        return read_condition(
            condition,
            poll_interval=poll_interval,
            poll_interval_ms=poll_interval_ms,
            timeout=timeout,
        )

    def _kept(self, value: object) -> Checkpoint:
        self._check("keep a checkpoint")
        text = encode(value, "checkpoint")
        size = len(text.encode("utf-8"))
        if size > LARGEST_CHECKPOINT_BYTES:
            raise CheckpointTooLargeError(size, LARGEST_CHECKPOINT_BYTES)
        return Checkpoint(text=text)

    def _stop(self, reason: str) -> NoReturn:
        self._stopped = reason
        raise AttemptStopped(reason)

    def _check_going_on(self) -> None:
        if self._stopped is not None:
            raise AttemptStopped(self._stopped)

    def _take(self, ask: Ask, reply: Reply | None) -> None:
        if reply is not Reply.DONE:
            self._stop(_CANCELLED if reply is None else _LOST)
        if not isinstance(ask, Checkpoint):
            self._is_parked = isinstance(ask, Park)

    def _check_cancelled(self) -> None:
        if self._any_port.is_cancelled():
            self._stop(_CANCELLED)

    def _deadline_s(self, poll: Poll) -> float:
        return math.inf if poll.timeout_ms is None else self._clock() + poll.timeout_ms / 1000

    def _pause_s(self, poll: Poll, deadline_s: float) -> float:
        """Return how long to sleep before the next call.

        Raises:
            WaitTimedOutError: if there is no time left.
        """
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            name = getattr(poll.condition, "__qualname__", type(poll.condition).__qualname__)
            raise WaitTimedOutError(f"{name}()", poll.timeout_ms)
        return min(poll.poll_ms / 1000, left_s)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A handle belongs to the process that its body runs in, and is no data")


def _check_progress(progress: object) -> None:
    match progress:
        case bool():
            raise InvalidProgressError(progress)
        case int() | float() if 0 <= progress <= 1:
            return
        case _:
            raise InvalidProgressError(progress)
