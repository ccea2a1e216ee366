"""Faults in who has an execution, and in what runners learn of each other."""

from collections.abc import Iterable
from typing import Any

from cloacina.kernel.lookout import Lookout
from cloacina.planner.planner import Planner
from simulation import memory, memory_writer
from simulation.memory import SimulatedDatabase
from simulation.memory_writer import SimulatedLink
from simulation.neighbours import SimulatedNeighbours
from simulation.planted.fault import Patch, Planted
from simulation.snapshot import ExecutionRow


def _no_fence(patch: Patch) -> None:
    patch.setattr(memory_writer, "is_fenced_in", lambda *_: True)


def _same_epoch(patch: Patch) -> None:
    def claimed_row(row: ExecutionRow, owner: str) -> ExecutionRow:
        return row._replace(owner=owner)

    patch.setattr(memory, "claimed_row", claimed_row)


def _keys_not_unique(patch: Patch) -> None:
    patch.setattr(SimulatedLink, "_taken", lambda *_: set())


def _looks_once(patch: Patch) -> None:
    patch.setattr(Lookout, "look_later", lambda *_: None)


def _robbed(patch: Patch) -> None:
    original = memory.SimulatedDatabase.settle

    def settle(self: memory.SimulatedDatabase, *args: Any, **more: Any) -> Any:
        runners, self._tables.runners = self._tables.runners, {}
        try:
            return original(self, *args, **more)
        finally:
            self._tables.runners = runners

    patch.setattr(memory.SimulatedDatabase, "settle", settle)


def _ends_untold(patch: Patch) -> None:
    patch.setattr(SimulatedNeighbours, "tell_of_ends", lambda _: None)


def _evicted_goes_on(patch: Patch) -> None:
    patch.setattr(Planner, "stored", property(lambda _self: []))


def _evicted_writes(patch: Patch) -> None:
    patch.setattr(memory_writer, "is_known", lambda *_: True)


def _claim_in_doubt_forgotten(patch: Patch) -> None:
    patch.setattr(SimulatedDatabase, "owned", lambda *_: [])


def _leftovers_kept(patch: Patch) -> None:
    original = SimulatedDatabase.release

    def release(self: SimulatedDatabase, gone: Iterable[str]) -> None:
        original(self, set(gone) & self.runner_ids())

    patch.setattr(SimulatedDatabase, "release", release)


PLANTED = {
    "a missing compare": Planted(_no_fence, "wrote what .* owns"),
    "a claim in the same epoch": Planted(_same_epoch, "did not raise the epoch"),
    "a key that two executions have": Planted(_keys_not_unique, "the key of another"),
    "a look around that is not repeated": Planted(_looks_once, "never ended|was not told"),
    "an owner that is passed over": Planted(_robbed, "was robbed"),
    "an end that nobody is told of": Planted(_ends_untold, "was not told"),
    "an evicted runner that goes on": Planted(_evicted_goes_on, "goes on with"),
    "an evicted runner that writes": Planted(_evicted_writes, "wrote after its eviction"),
    "a claim in doubt that is forgotten": Planted(_claim_in_doubt_forgotten, "never ended|forgot"),
    "what nobody has after a return": Planted(_leftovers_kept, "forgot .* which it owns"),
}
