"""What this runner offers to others, because it has no slot for it.

Rules it upholds:

* nothing is offered while no other runner is known, and never more than the others have slots;
* what is offered comes from the head of the queue, and keeps its place: a free slot of this
  runner's own takes an offer back that nobody claimed. It leaves those of equal priority to the
  others for a moment, or it would take back what it has just offered, over and over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import attempt
from cloacina.planner.queue.slots import Place, Slots
from cloacina.planner.task import TaskState

MOST_OFFERED: Final = 256
"""How many offers of one runner are open at most, however many slots the others have."""
LONGEST_CONTEXT: Final = 16 * 1024 * 1024
"""Characters; a larger context is not copied into an offer."""
_RESERVED_US: Final = 1_000_000

_Key = tuple[str, int]
Executions = Mapping[str, ExecutionState]


@dataclass(frozen=True, slots=True)
class _Open:
    """An offer that nobody claimed, as far as is known. It may be out of date, as a place may."""

    place: Place
    since_us: int

    @property
    def key(self) -> _Key:
        return self.place.execution_id, self.place.task_number

    def precedes(self, head: Place, now: Now) -> bool:
        """Whether it is its turn before ``head``'s."""
        if self.place.descending_priority < head.descending_priority:
            return True
        return now.monotonic_us - self.since_us >= _RESERVED_US and self.place < head


class Offers:
    """The offers of one runner."""

    def __init__(self, slots: Slots) -> None:
        """Offer what waits for ``slots``."""
        self._slots = slots
        self._window = 0
        self._open: dict[_Key, _Open] = {}
        self._away: set[_Key] = set()
        """Tasks whose attempts run elsewhere; some may have ended."""

    def set_window(self, slots: int) -> None:
        """Offer as much as the others have slots for."""
        self._window = min(slots, MOST_OFFERED)

    def reprioritise(self, execution_id: str, priority: int) -> None:
        """Have the open offers of an execution keep a place under another priority."""
        for key, offer in self._open.items():
            if key[0] == execution_id:
                self._open[key] = replace(offer, place=offer.place.at(priority))

    def note_away(self, execution: ExecutionState, task: TaskState) -> None:
        """Remember that an attempt runs elsewhere."""
        self._away.add((execution.id, task.number))

    def is_any(self, executions: Executions) -> bool:
        """Whether there is any offer whose fate is to be looked for."""
        self._away = {key for key in self._away if _is_away(executions, key)}
        return bool(self._away or self._open)

    def next_in_turn(self, now: Now) -> Place | None:
        """Remove and return what is first among the queue and the offers, if a slot is free."""
        if self._open and self._slots.free:
            fitting = (each for each in self._open.values() if self._slots.room_in(each.place.pool))
            first = min(fitting, key=lambda offer: offer.place, default=None)
            head = self._slots.first_with_room
            if first is not None and (head is None or first.precedes(head, now)):
                del self._open[first.key]
                return first.place
        return self._slots.next_in_turn()

    def fill(self, executions: Executions, now: Now) -> list[ExecutionState]:
        """Bring the offers in line with the queue and the window; return what that changed."""
        if not self._open and not self._window:
            return []
        changed = self.tidy(executions)
        while self._open and (len(self._open) > self._window or self._is_outranked()):
            last = max(self._open.values(), key=lambda offer: offer.place)
            execution = executions[last.place.execution_id]
            attempt.withdraw(execution, execution.tasks[last.place.task_number])
            self._slots.put_back(self._open.pop(last.key).place)
            changed.append(execution)
        return changed + self._extend(executions, now)

    def _is_outranked(self) -> bool:
        """Whether something waits that is more urgent than an offer which stands in its way."""
        head = self._slots.head
        if head is None or len(self._open) < self._window:
            return False
        return head.descending_priority < max(
            offer.place.descending_priority for offer in self._open.values()
        )

    def tidy(self, executions: Executions) -> list[ExecutionState]:
        """Forget what is not on offer any more, and withdraw what must not start now."""
        changed = []
        for key in list(self._open):
            execution = executions.get(key[0])
            if execution is None or not execution.tasks[key[1]].is_offered:
                del self._open[key]
            elif execution.status is not ExecutionStatus.RUNNING:
                del self._open[key]
                attempt.withdraw(execution, execution.tasks[key[1]])
                changed.append(execution)
        return changed

    def _extend(self, executions: Executions, now: Now) -> list[ExecutionState]:
        changed: list[ExecutionState] = []
        kept: list[Place] = []
        while len(self._open) < self._window and len(kept) < self._window:
            head = self._slots.head
            if head is None:
                break
            place = self._slots.remove_first(head)
            execution = executions.get(place.execution_id)
            if execution is None or execution.status is not ExecutionStatus.RUNNING:
                continue
            task = execution.tasks[place.task_number]
            if task.is_offered or not task.is_startable(now.utc_us):
                continue
            texts = texts_of(execution.views.seen_by(task.number))
            if sum(map(len, texts.values())) > LONGEST_CONTEXT:
                kept.append(place)
                continue
            attempt.offer(execution, task, texts, now.utc_us)
            offer = _Open(place, now.monotonic_us)
            self._open[offer.key] = offer
            changed.append(execution)
        for place in kept:
            self._slots.put_back(place)
        return changed


def _is_away(executions: Executions, key: _Key) -> bool:
    execution = executions.get(key[0])
    return execution is not None and execution.tasks[key[1]].runner is not None
