"""Who may run: the slots of this runner, and the tasks that wait for one.

A slot belongs to the token of the attempt that took it, and comes back when the executor reports
that this very attempt has ended: not earlier, however the attempt was settled meanwhile.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A ready task's place in the queue. It may be out of date when it is taken."""

    descending_priority: int
    created_at_us: int
    arrival: int
    execution_id: str = field(compare=False)
    task_number: int = field(compare=False)


class Slots:
    """Slots and the queue for them: higher priority first, then the older execution."""

    def __init__(self, count: int) -> None:
        """Offer ``count`` slots."""
        self._free = count
        self._held: set[str] = set()
        self._queue: list[Place] = []
        self._arrivals = 0

    @property
    def free(self) -> int:
        """How many attempts may start now."""
        return self._free

    def wait(self, execution_id: str, task_number: int, *, priority: int, age_us: int) -> None:
        """Queue a task for a slot."""
        self._arrivals += 1
        place = Place(-priority, age_us, self._arrivals, execution_id, task_number)
        heappush(self._queue, place)

    def put_back(self, place: Place) -> None:
        """Let a place wait again where it was."""
        heappush(self._queue, place)

    def next_in_turn(self) -> Place | None:
        """Remove and return the first of the queue if there is a free slot for it."""
        return heappop(self._queue) if self._free and self._queue else None

    def take(self, token: str) -> None:
        """Give a slot to an attempt."""
        self._free -= 1
        self._held.add(token)

    def give_back(self, token: str) -> None:
        """Take the slot of an attempt that has ended; nothing, if it has none."""
        if token in self._held:
            self._held.remove(token)
            self._free += 1
