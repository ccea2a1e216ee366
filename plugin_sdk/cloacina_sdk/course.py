"""The course that a run takes through its body's waits: which are behind it, and where it ends.

Waits are told apart by their place. Kind and name have to be those of the earlier runs; times may
differ, for a body may compute them anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloacina_sdk.errors import HandleMisuseError
from cloacina_sdk.unwinding import ChangedCourseError, Deferred, SwallowedDeferralError
from cloacina_sdk.waiting import PassedWait, Wait


class Course:
    """One run of a body.

    Args:
        passed: the waits that earlier runs left behind, in order.
    """

    def __init__(self, passed: tuple[PassedWait, ...]) -> None:
        self._passed = passed
        self._count = 0
        self._deferral: Deferred | None = None
        self._fault: ChangedCourseError | None = None

    def come_to(self, wait: Wait) -> PassedWait | None:
        """Return how a wait ended, or None if it lies ahead.

        Raises:
            ChangedCourseError: if an earlier run came to another one here.
            Deferred: if the run has ended before, and the body goes on all the same.
        """
        if self._fault is not None:
            raise self._fault
        if self._deferral is not None:
            raise self._deferral
        if self._count == len(self._passed):
            return None
        before = self._passed[self._count]
        self._count += 1
        if (before.kind, before.name) != (wait.kind, wait.name):
            self._fault = ChangedCourseError(self._count, before, wait)
            raise self._fault
        return before

    def end_at(self, wait: Wait) -> Deferred:
        """End the run at a wait that lies ahead; what is returned is to be raised."""
        self._deferral = Deferred(wait)
        return self._deferral

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Hold a body, which runs inside, to its course.

        Raises:
            Deferred: if the run has ended to wait, and nothing else.
            ChangedCourseError: if the course was left, whatever the body made of that.
            SwallowedDeferralError: if the body returned after its run had ended.
        """
        try:
            yield
        except BaseException as error:
            if self._fault is not None and error is not self._fault:
                raise self._fault from error
            if self._deferral is None:
                if isinstance(error, Deferred):
                    raise HandleMisuseError("The body raised a deferral of its own") from error
                raise
            if _is_all(error, self._deferral):
                raise self._deferral from None
            error.add_note(f"(it was raised while {self._deferral})")
            raise
        if self._fault is not None:
            raise self._fault
        if self._deferral is not None:
            raise SwallowedDeferralError(self._deferral.wait)


def _is_all(error: BaseException, deferral: Deferred) -> bool:
    """Whether an error is the deferral, maybe in groups as `asyncio.TaskGroup` makes them."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_all(part, deferral) for part in error.exceptions)
    return error is deferral
