"""Who may run: the slots of this runner, and the tasks that wait for one.

A slot belongs to the token of the attempt that took it, and comes back when the executor reports
that this very attempt has ended: not earlier, however the attempt was settled meanwhile. An attempt
takes a place in its pool along with the slot; a full pool holds up nobody who waits for another.
"""

from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush

from cloacina.planner.queue.pools import Pool
from cloacina.planner.queue.standing import InQueue


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A ready task's place in the queue. It may be out of date when it is taken."""

    descending_priority: int
    created_at_us: int
    arrival: int
    execution_id: str = field(compare=False)
    task_number: int = field(compare=False)
    pool: Pool = field(compare=False)
    stays: bool = field(default=False, compare=False)
    """Whether only this runner may have the attempt."""

    @property
    def queue(self) -> tuple[str, bool]:
        """Names the queue that it belongs to."""
        return self.pool.name, self.stays

    @property
    def priority(self) -> int:
        """The priority that its execution had when it was queued."""
        return -self.descending_priority

    def at(self, priority: int) -> "Place":
        """Return the same place under another priority."""
        return replace(self, descending_priority=-priority)


class Slots:
    """Slots and the queues for them: higher priority first, then the older execution."""

    def __init__(self, count: int) -> None:
        """Offer ``count`` slots."""
        self._free = count
        self._held: dict[str, str] = {}
        """Token -> the name of the pool in which it has a place."""
        self._taken: dict[str, int] = {}
        self._queues: dict[tuple[str, bool], list[Place]] = {}
        self._arrivals = 0

    @property
    def free(self) -> int:
        """How many attempts may start now, if their pools have room."""
        return self._free

    @property
    def held(self) -> set[str]:
        """The tokens of the attempts that have slots."""
        return set(self._held)

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """How long the queues are; places that are out of date are counted too."""
        return sum(map(len, self._queues.values()))

    def wait(
        self,
        execution_id: str,
        task_number: int,
        *,
        pool: Pool,
        priority: int,
        age_us: int,
        stays: bool = False,
    ) -> None:
        """Queue a task for a slot; one that ``stays`` is for a slot of this runner only."""
        self._arrivals += 1
        self.put_back(
            Place(-priority, age_us, self._arrivals, execution_id, task_number, pool, stays)
        )

    def next_in_turn(self) -> Place | None:
        """Remove and return the first of those for whom there is a slot and a place."""
        first = self.first_with_room
        return None if first is None else self.remove_first(first)

    @property
    def first_with_room(self) -> Place | None:
        """The first of those for whom there is a slot and a place; it stays in the queue."""
        if not self._free:
            return None
        return min((q[0] for q in self._queues.values() if self.room_in(q[0].pool)), default=None)

    @property
    def head(self) -> Place | None:
        """The first of those that others may have, whether there is room for it here or not."""
        firsts = (queue[0] for (_, stays), queue in self._queues.items() if not stays)
        return min(firsts, default=None)

    def remove_first(self, place: Place) -> Place:
        """Take the first of a queue out of it."""
        queue = self._queues[place.queue]
        heappop(queue)
        if not queue:
            del self._queues[place.queue]
        return place

    def put_back(self, place: Place) -> None:
        """Queue what was taken out of its queue again, where it was."""
        heappush(self._queues.setdefault(place.queue, []), place)

    def reprioritise(self, execution_id: str, priority: int) -> None:
        """Move what waits of an execution to where another priority puts it."""
        for queue in self._queues.values():
            queue[:] = [p.at(priority) if p.execution_id == execution_id else p for p in queue]
            heapify(queue)

    def place_of(self, execution_id: str, task_number: int) -> InQueue | None:
        """Return how a task waits, if it does."""
        places = [place for queue in self._queues.values() for place in queue]
        mine = [p for p in places if (p.execution_id, p.task_number) == (execution_id, task_number)]
        if not mine:
            return None
        own = min(mine)
        ahead = [place for place in places if place < own and place.execution_id != execution_id]
        before = {(p.execution_id, p.task_number) for p in places if p < own}
        return InQueue(
            ahead=len(before),
            preferred=sum(place.priority > own.priority for place in ahead),
            pool=own.pool.name,
            has_room=self.room_in(own.pool) > 0,
        )

    def take(self, token: str, pool: Pool) -> None:
        """Give a slot, and a place in its pool, to an attempt."""
        self._free -= 1
        self._held[token] = pool.name
        self._taken[pool.name] = self._taken.get(pool.name, 0) + 1

    def give_back(self, token: str) -> None:
        """Take the slot of an attempt that has ended; nothing, if it has none."""
        pool = self._held.pop(token, None)
        if pool is not None:
            self._free += 1
            self._taken[pool] -= 1
            if not self._taken[pool]:
                del self._taken[pool]

    def room_in(self, pool: Pool) -> int:
        """Return how many attempts of a pool may start now."""
        if pool.capacity is None:
            return self._free
        return max(0, min(self._free, pool.capacity - self._taken.get(pool.name, 0)))
