"""What ends the run of a body from inside its handle.

The first two derive from `BaseException`, so that a body's `except Exception` lets them pass.
"""

from __future__ import annotations

from cloacina_sdk.signals import Fatal
from cloacina_sdk.waiting import PassedWait, Wait


class Deferred(BaseException):
    """The run ends here, and the body runs again from its top when the wait is over."""

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        super().__init__(f"the run ends to wait for {wait}")


class AttemptStopped(BaseException):
    """The attempt was cancelled, or given up by the engine; nothing that it does counts.

    Clean up in `finally`, and let it pass.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The attempt is to end: {reason}")


class ChangedCourseError(Fatal):
    """A run came to another wait than an earlier run did at the same place."""

    def __init__(self, number: int, before: PassedWait, now: Wait) -> None:
        self.number = number
        self.before = before
        self.now = now
        super().__init__(
            f"The body took another way than before: its wait number {number} was for {before}, "
            f"and now is for {now}; each run has to come to the same waits in the same order"
        )


class SwallowedDeferralError(Fatal):
    """A body went on after its run had ended to wait."""

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        super().__init__(
            f"The body swallowed what ends its run to wait for {wait}; "
            "let it pass: catch Exception, not BaseException, and return from no finally block"
        )
