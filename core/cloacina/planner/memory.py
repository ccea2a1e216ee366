"""What a task that takes a handle leaves between its runs: the waits it passed, the one it is in.

Immutable values: whoever changes a task's memory gives it another one.
"""

from dataclasses import dataclass, replace

from cloacina_sdk.waiting import LATEST_US, Wait, WaitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A wait that is behind the body."""

    kind: WaitKind
    name: str | None = None
    is_timed_out: bool = False
    event: int | None = None
    """The sequence, within the execution, of the event that came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """What a task waits for now."""

    kind: WaitKind
    name: str | None = None
    since_us: int
    until_us: int | None = None
    """By the wall clock: when a time has come, or anything else is given up; ``None`` for never."""
    poll_us: int | None = None
    """Between two calls of a condition."""

    @property
    def longest_us(self) -> int | None:
        """How long it may last at most, whatever the wall clock is set to meanwhile."""
        return None if self.until_us is None else max(0, self.until_us - self.since_us)

    def passed(self, *, is_timed_out: bool = False, event: int | None = None) -> Passed:
        """Return what is kept of it once it is over."""
        return Passed(kind=self.kind, name=self.name, is_timed_out=is_timed_out, event=event)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMemory:
    """Everything that the next run of a task's body is told of the earlier ones."""

    passed: tuple[Passed, ...] = ()
    open: OpenWait | None = None
    checkpoint: str | None = None
    """JSON text."""

    def seen_of(self, name: str) -> int:
        """Return how many events of a name the task has seen."""
        return sum(each.event is not None and each.name == name for each in self.passed)

    def after(self, passed: Passed) -> "TaskMemory":
        """Return the memory in which the open wait is over."""
        return replace(self, passed=(*self.passed, passed), open=None)


NOTHING_KEPT = TaskMemory()


def opened(wait: Wait, at_us: int) -> OpenWait:
    """Return the wait that begins at a moment of the wall clock."""
    until_us = wait.until_us
    if wait.delay_ms is not None or wait.timeout_ms is not None:
        until_us = min(at_us + (wait.delay_ms or wait.timeout_ms or 0) * 1000, LATEST_US)
    return OpenWait(
        kind=wait.kind,
        name=wait.name,
        since_us=at_us,
        until_us=until_us,
        poll_us=None if wait.poll_ms is None else wait.poll_ms * 1000,
    )
