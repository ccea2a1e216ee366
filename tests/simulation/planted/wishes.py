"""Faults in what becomes of what people ask."""

from typing import Any

from cloacina.model.states import TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import reopen
from simulation.memory_tables import Tables
from simulation.planted.fault import Patch, Planted


def _wish_after_the_end(patch: Patch) -> None:
    patch.setattr(ExecutionState, "can_be_stopped", property(lambda self: self.stopping is None))


def _replies_lost(patch: Patch) -> None:
    def answer(_self: Any, _command_id: str, _verdict: Any) -> None: ...

    patch.setattr(Tables, "answer", answer)


def _dependents_kept(patch: Patch) -> None:
    def from_failed(execution: ExecutionState) -> list[int]:
        again = {TaskStatus.FAILED, TaskStatus.CANCELLED}
        return [task.number for task in execution.tasks if task.status in again]

    patch.setattr(reopen, "_from_failed", from_failed)


def _budget_kept(patch: Patch) -> None:
    original = ExecutionState.reset

    def reset(self: ExecutionState, number: int) -> None:
        failures = self.tasks[number].failures
        original(self, number)
        self.tasks[number].failures = failures

    patch.setattr(ExecutionState, "reset", reset)


PLANTED = {
    "a wish that is granted after the end": Planted(
        _wish_after_the_end, "must end as|is not legal"
    ),
    "an answer that is not written": Planted(
        _replies_lost, "was not told|in circles|was sent twice"
    ),
    "a retry that forgets what depends on it": Planted(_dependents_kept, "no event of the reset"),
    "a retry that counts old failures": Planted(_budget_kept, "was reset to"),
}
