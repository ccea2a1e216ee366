"""Learn of changes from the engine's hooks, as values that another thread can take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloacina_sdk.hooks import AttemptInfo, AttemptOutcome, ElementInfo, hookimpl


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A task went from one state to another.

    Attributes:
        status: as the engine spells it; ``Retrying`` while it waits for its next attempt after a
            failure, ``Deferred`` while it waits for what it asked for.
        attempt: the number of the latest attempt; 0 if there was none.
        progress: of a mapped task, how many of its elements are done, and how many there are.
        detail: an error, a delay or a reason; "" where nothing is to be said.
        at_s: when it became known, by the monotonic clock.
    """

    execution_id: str
    task: str
    status: str
    attempt: int
    detail: str = ""
    progress: tuple[int, int] | None = None
    at_s: float = field(default_factory=time.monotonic)


class ChangeFeed:
    """A plugin for a runner that hands every change on, in the engine's own thread.

    Args:
        put: must return at once.
    """

    def __init__(self, put: Callable[[Change], object]) -> None:
        self._put = put

    @hookimpl
    def cloacina_before_attempt(self, attempt: AttemptInfo) -> None:
        """Hand on that an attempt starts."""
        self._hand_on(attempt, "Running")

    @hookimpl
    def cloacina_after_attempt(self, attempt: AttemptInfo, outcome: AttemptOutcome) -> None:
        """Hand on how an attempt ended."""
        if outcome.status == "Deferred":
            self._hand_on(attempt, "Deferred")
        elif outcome.failure is None:
            self._hand_on(attempt, "Completed")
        else:
            failure = outcome.failure
            self._hand_on(attempt, "Failed", f"{failure.error_type}: {failure.message}")

    @hookimpl
    def cloacina_attempt_retried(self, attempt: AttemptInfo, delay_s: float) -> None:
        """Hand on that another attempt follows."""
        self._hand_on(attempt, "Retrying", f"in {delay_s:.2f} s")

    def _hand_on(self, attempt: AttemptInfo, status: str, detail: str = "") -> None:
        if attempt.element is not None:
            self._put(_progress(attempt, attempt.element))
            return
        self._put(
            Change(
                execution_id=attempt.execution_id,
                task=attempt.namespace.task_id,
                status=status,
                attempt=attempt.attempt,
                detail=detail,
            )
        )


def _progress(attempt: AttemptInfo, element: ElementInfo) -> Change:
    """Return how far a mapped task is: what its single elements do is too much to show."""
    failed = f", {element.failed:,} failed" if element.failed else ""
    return Change(
        execution_id=attempt.execution_id,
        task=attempt.namespace.task_id,
        status="Running",
        attempt=0,
        detail=f"{element.done:,}/{element.count:,} elements done{failed}",
        progress=(element.done, element.count),
    )
