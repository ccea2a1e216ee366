"""Faults in mapped tasks."""

from cloacina.planner.expansion import Expansion
from cloacina.planner.task import TaskState
from simulation.planted.fault import Patch, Planted


def _elements_left(patch: Patch) -> None:
    patch.setattr(Expansion, "is_over", property(lambda self: not self.open))


def _no_limit_of_elements(patch: Patch) -> None:
    patch.setattr(Expansion, "has_room", True)


def _results_by_end(patch: Patch) -> None:
    original = Expansion.take

    def take(self: Expansion, task: TaskState) -> None:
        original(self, task)
        found = [text for text in self.results if text is not None]
        self.results[:] = sorted(found) + [None] * (self.count - len(found))

    patch.setattr(Expansion, "take", take)


def _elements_forgotten(patch: Patch) -> None:
    patch.setattr(Expansion, "restore", lambda *_: None)


PLANTED = {
    "a mapped task that ends early": Planted(
        _elements_left, "its elements not|found|nobody wanted"
    ),
    "elements beyond their limit": Planted(_no_limit_of_elements, "run at once"),
    "results in the order of their ends": Planted(_results_by_end, "saw|ran for|found"),
    "elements that run again": Planted(
        _elements_forgotten, "forgot .* which it owns|UNIQUE|its elements not"
    ),
}
