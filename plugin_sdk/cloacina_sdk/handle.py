"""What a task waits and remembers by, beyond the process that runs it.

* A wait that is data ends the run of the body. Another run begins at the top when it is over, and
  there the handle returns at once from every wait that is behind. So what stands before a wait is
  done again; what must not be is kept by `checkpoint`, or made safe by `attempt_key`.
* Changes that a run made to its context are lost when it ends to wait; `checkpoint` keeps values.
* A handle belongs to one run: to the thread, or the asyncio task, that the body was called in.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cloacina_sdk.any_handle import AnyHandle
from cloacina_sdk.asking import Ask, Park, Unpark
from cloacina_sdk.errors import InvalidWaitError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.port import Port
from cloacina_sdk.unwinding import AttemptStopped
from cloacina_sdk.wait_condition import Condition, Duration, Poll, SentEvent
from cloacina_sdk.waiting import Memory, Wait


class TaskHandle(AnyHandle):
    """The handle of a sync body.

    A run that ends to wait leaves nothing in the context; keep by `checkpoint` what the next run
    has to know.
    """

    def __init__(
        self,
        port: Port,
        memory: Memory,
        key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(port, memory, key, clock=clock)
        self._port = port

    def defer_until(
        self,
        condition: Condition,
        poll_interval_ms: int | None = None,
        *,
        poll_interval: Duration | None = None,
        timeout: Duration | None = None,
    ) -> None:
        """Wait without taking a slot.

        If the run ends to wait, the changes that it made to its context are lost: the next run
        begins with the context that this one was given. Keep by `checkpoint` what it has to know.

        Args:
            condition: an aware datetime, a timedelta from now, `SentEvent(name)`, or the name of
                a condition that the runner knows: these survive the process. Or any function
                without arguments: that is called here, at once and then at intervals, until it
                returns something true, and what it raises ends the wait.
            poll_interval_ms: how many milliseconds after one call the next comes; a second by
                default.
            poll_interval: the same as a timedelta, seconds or text such as "5s".
            timeout: after how long the wait is given up; by default never. The time of a
                function counts anew in each run.

        Raises:
            WaitTimedOutError: if the wait was given up.
            InvalidWaitError: if there is nothing to wait for.
            InvalidDurationError: if a duration is none.
            HandleMisuseError: if it is not the body that calls.
        """
        wait = self._read(
            condition,
            poll_interval=poll_interval,
            poll_interval_ms=poll_interval_ms,
            timeout=timeout,
        )
        if isinstance(wait, Poll):
            self._poll(wait)
        else:
            self._passed(wait)

    def wait_event(self, name: str, *, timeout: Duration | None = None) -> JsonValue:
        """Wait for an event that is sent to the execution, and return what came with it.

        Each wait of this task for a name gets the next event of that name, in the order in which
        they were sent, whether that was before or after the wait began.

        Raises:
            WaitTimedOutError: if none came in time.
            InvalidWaitError: if no event can be called so.
            HandleMisuseError: if it is not the body that calls.
        """
        wait = self._read(
            SentEvent(name), poll_interval=None, poll_interval_ms=None, timeout=timeout
        )
        assert isinstance(wait, Wait)  # noqa: S101 - an event is data
        return self._passed(wait)

    def checkpoint(self, value: JsonValue) -> None:
        """Keep a value for later runs of this task; it is durable when this returns.

        Raises:
            InvalidContextValueError: if JSON cannot hold it.
            CheckpointTooLargeError: if it is too large.
            HandleMisuseError: if it is not the body that calls.
        """
        self._ask(self._kept(value))

    def _ask(self, ask: Ask) -> None:
        self._check_going_on()
        self._take(ask, self._port.ask(ask))

    def _poll(self, poll: Poll) -> None:
        deadline_s = self._deadline_s(poll)
        if self._holds(poll):
            return
        self._pause_s(poll, deadline_s)
        self._ask(Park())
        try:
            self._poll_on(poll, deadline_s)
        except AttemptStopped:
            raise
        except BaseException:
            self._ask(Unpark())
            raise
        self._ask(Unpark())

    def _poll_on(self, poll: Poll, deadline_s: float) -> None:
        while True:
            self._port.sleep(self._pause_s(poll, deadline_s))
            self._check_cancelled()
            if self._holds(poll):
                return

    def _holds(self, poll: Poll) -> bool:
        self._is_polling = True
        try:
            found = poll.condition()
            if hasattr(found, "__await__"):
                if callable(close := getattr(found, "close", None)):
                    close()  # nobody will await it, and the interpreter would warn about that
                raise InvalidWaitError(
                    "An async function cannot be waited for by a task that is not async; declare "
                    "the task `async def`"
                )
            return bool(found)
        finally:
            self._is_polling = False
