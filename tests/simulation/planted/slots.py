"""Faults in who may run: slots, the queue for them, keys and rates."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloacina.planner.effects import Effect
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import withdrawal
from cloacina.planner.planner import Planner
from cloacina.planner.queue.lanes import Lanes
from cloacina.planner.queue.schedule import Schedule
from cloacina.planner.queue.slots import Slots
from cloacina.planner.task import TaskState
from simulation.memory_writer import SimulatedLink
from simulation.planted.fault import Patch, Planted

Executions = Mapping[str, ExecutionState]


def _freed_slots_idle(patch: Patch) -> None:
    def withdraw(self: Planner, tokens: Iterable[str], _now: Now) -> list[Effect]:
        for token in tokens:
            self._schedule.give_back(token)
        return []

    patch.setattr(Planner, "withdraw", withdraw)


def _slots_leak(patch: Patch) -> None:
    original = Planner.withdraw

    def withdraw(self: Planner, _tokens: Iterable[str], now: Now) -> list[Effect]:
        return original(self, (), now)

    patch.setattr(Planner, "withdraw", withdraw)


def _stale_places(patch: Patch) -> None:
    patch.setattr(TaskState, "is_startable", lambda self, _utc_us: not self.status.is_final)


def _starts_late(patch: Patch) -> None:
    original = Schedule.start_next

    def start_next(self: Schedule, executions: Executions, now: Now) -> Iterator[Effect]:
        if self.free_slots > 1:  # keeps one in reserve
            yield from original(self, executions, now)

    patch.setattr(Schedule, "start_next", start_next)


def _queue_jumped(patch: Patch) -> None:
    original = Slots.wait

    def wait(self: Slots, *args: Any, age_us: int, **more: Any) -> None:
        original(self, *args, age_us=-age_us, **more)  # the younger execution first

    patch.setattr(Slots, "wait", wait)


def _no_limit_of_keys(patch: Patch) -> None:
    patch.setattr(SimulatedLink, "_check_slots", lambda *_: None)


def _keys_kept(patch: Patch) -> None:
    patch.setattr(Lanes, "release", lambda *_: None)


def _windows_missed(patch: Patch) -> None:
    patch.setattr(Lanes, "next_windows", lambda *_: ())


def _loose_history(patch: Patch) -> None:
    patch.setattr(withdrawal, "_strike_out", lambda *_: None)


PLANTED = {
    "slots that stay idle": Planted(_freed_slots_idle, "waits? although slots|never ended"),
    "slots that leak": Planted(_slots_leak, "held by nothing"),
    "places of an earlier ownership": Planted(
        _stale_places, "attempts .* run|is of TaskRow|before its dependencies|is early"
    ),
    "a start that is late": Planted(_starts_late, "waits? although slots"),
    "a queue without order": Planted(_queue_jumped, "jumped the queue"),
    "a key that is held too often": Planted(_no_limit_of_keys, "hold the key|started as"),
    "a key that is not given back": Planted(_keys_kept, "never ended|did not give|not told"),
    "a window that nobody waits for": Planted(_windows_missed, "never ended|not told"),
    "a start that is taken back by halves": Planted(_loose_history, "odd starts"),
}
