"""Places in the queue that wait for something other than a slot, out of everybody's way."""

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from cloacina.planner.queue.slots import Place


@dataclass(slots=True)
class _Group:
    """Those that one more free slot of the limit lets go: of one pool, under one limit."""

    waiting: list[Place] = field(default_factory=list)
    let_go: set[int] = field(default_factory=set)
    """Arrivals of places that were let go and were not in turn again yet."""


class Parking:
    """Places that wait for one limit. A full pool keeps only its own places waiting."""

    def __init__(self) -> None:
        """Begin empty."""
        self._groups: dict[tuple[str, int], _Group] = {}
        self._parked: set[tuple[str, int]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._parked

    def park(self, place: Place, limit: int) -> None:
        """Keep a place of a task that is limited to ``limit``; one that is kept already is dropped."""
        key = place.execution_id, place.task_number
        if key not in self._parked:
            self._parked.add(key)
            group = self._groups.setdefault((place.pool.name, limit), _Group())
            heappush(group.waiting, place)

    def came(self, place: Place) -> None:
        """Note that a place which may have been let go is in turn."""
        for group in self._groups.values():
            group.let_go.discard(place.arrival)

    def take_out(self, limit: int, room: int) -> list[Place]:
        """Let go of as many places under ``limit`` as there is room for, in each pool."""
        found: list[Place] = []
        for (_, own_limit), group in self._groups.items():
            if own_limit != limit:
                continue
            while group.waiting and len(group.let_go) < room:
                place = heappop(group.waiting)
                self._parked.discard((place.execution_id, place.task_number))
                group.let_go.add(place.arrival)
                found.append(place)
        return found

    def reprioritise(self, execution_id: str, priority: int) -> None:
        """Move what waits of an execution to where another priority puts it."""
        for group in self._groups.values():
            group.waiting[:] = [
                place.at(priority) if place.execution_id == execution_id else place
                for place in group.waiting
            ]
            heapify(group.waiting)

    @property
    def limits(self) -> set[int]:
        """The limits that somebody waits under."""
        return {limit for (_, limit), group in self._groups.items() if group.waiting}

    def has(self, execution_id: str, task_number: int) -> bool:
        """Whether a task waits here."""
        return (execution_id, task_number) in self._parked
