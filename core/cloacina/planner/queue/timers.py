"""What is due when, on the monotonic clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import heappop, heappush

from cloacina.planner.task import TaskState


class Alarm(Enum):
    """Why the planner wants to be woken."""

    RETRY = auto()
    """The delay before a task's next attempt is over."""
    ATTEMPT_TIMEOUT = auto()
    """An attempt took as long as it may."""
    WAIT = auto()
    """What a task waits for has come, if it is a time; else it is given up."""
    POLL = auto()
    """A condition that a task waits for is to be called again."""
    GRACE = auto()
    """An attempt that was asked to end had its time to do so."""
    WINDOW = auto()
    """A new window of a rate may have begun."""
    EXECUTION_TIMEOUT = auto()
    """An execution took as long as its workflow allows."""


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    """One alarm. It may be out of date when it rings: whoever takes it looks at the state."""

    due_us: int
    number: int
    alarm: Alarm = field(compare=False)
    execution_id: str = field(compare=False)
    task_number: int | None = field(compare=False)
    attempt: int = field(compare=False)
    """The number of the task's attempt; for an execution, the epoch of its owner."""
    token: str | None = field(compare=False)


class Timers:
    """Alarms in the order in which they are due."""

    def __init__(self) -> None:
        """Begin without any."""
        self._heap: list[Timer] = []
        self._armed = 0

    @property
    def next_due_us(self) -> int | None:
        """When the first one is due, if there is one."""
        return self._heap[0].due_us if self._heap else None

    def arm(
        self,
        alarm: Alarm,
        due_us: int,
        execution_id: str,
        *,
        task: TaskState | None = None,
        epoch: int = 0,
    ) -> None:
        """Ring ``alarm`` at ``due_us``, for an execution or for the present attempt of a task."""
        self._armed += 1
        number, attempt, token = None, epoch, None
        if task is not None:
            number, attempt, token = task.number, task.attempt, task.token
        timer = Timer(due_us, self._armed, alarm, execution_id, number, attempt, token)
        heappush(self._heap, timer)

    def take_due(self, now_us: int) -> Iterator[Timer]:
        """Remove and yield what is due."""
        while self._heap and self._heap[0].due_us <= now_us:
            yield heappop(self._heap)
