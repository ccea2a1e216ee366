"""Faults to plant in the engine or in the model of the database, each to be found by some seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cloacina.errors import EngineError, StoreUnavailableError
from cloacina.kernel.kernel import Kernel
from cloacina.model.states import TaskStatus
from cloacina.planner import decide
from cloacina.planner.effects import Effect, StartAttempt
from cloacina.planner.events import AttemptEnded, Event, Now, StoredExecution, TimePassed
from cloacina.planner.execution import ExecutionState, TaskState, restored
from cloacina.planner.planner import Planner
from cloacina.store.writer import SqliteWriter, Written
from simulation import memory, memory_writer
from simulation.memory_writer import SimulatedWriter
from simulation.neighbours import SimulatedNeighbours
from simulation.snapshot import ExecutionRow

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, and what the violation that it leads to says."""

    plant: Callable[[Patch], None]
    complaint: str


def _no_fence(patch: Patch) -> None:
    patch.setattr(memory_writer, "is_fenced_in", lambda *_: True)


def _same_epoch(patch: Patch) -> None:
    def claimed_row(row: ExecutionRow, owner: str) -> ExecutionRow:
        return row._replace(owner=owner)

    patch.setattr(memory, "claimed_row", claimed_row)


def _forgotten_token(patch: Patch) -> None:
    original = Planner._end_attempt

    def end_attempt(self: Planner, event: AttemptEnded, now: Now) -> list[Effect]:
        execution = self._executions.get(event.execution_id)
        token = execution.tasks[event.task_number].token if execution else None
        return original(self, replace(event, token=token or event.token), now)

    patch.setattr(Planner, "_end_attempt", end_attempt)


def _event_outside_transaction(patch: Patch) -> None:
    original = SimulatedWriter._insert_events

    def insert_events(self: SimulatedWriter, drafts: Any, batch: Any) -> None:
        if len(batch["events"]) > 2:
            batch["events"].pop()  # to be written later, if ever
        original(self, drafts, batch)

    patch.setattr(SimulatedWriter, "_insert_events", insert_events)


def _effects_before_commit(patch: Patch) -> None:
    original = Kernel._step

    def step(self: Kernel, event: Event) -> list[Effect]:
        effects = original(self, event)
        starts = [effect for effect in effects if isinstance(effect, StartAttempt)]
        self._carry_out(starts)
        return [effect for effect in effects if effect not in starts]

    patch.setattr(Kernel, "_step", step)


def _answer_before_commit(patch: Patch) -> None:
    original = Kernel._commit

    def commit(self: Kernel, effects: Sequence[Effect]) -> Any:
        while self._unanswered:
            self._unanswered.pop(0).accepted.set_result(None)
        return original(self, effects)

    patch.setattr(Kernel, "_commit", commit)


def _effects_by_name(patch: Patch) -> None:
    original = Kernel._commit

    def commit(self: Kernel, effects: Sequence[Effect]) -> Any:
        gone, kept = original(self, effects)
        known = set(map(id, kept))
        left = [effect for effect in effects if id(effect) not in known]
        return gone, [*kept, *(effect for effect in left if effect.execution.id not in gone)]

    patch.setattr(Kernel, "_commit", commit)


def _freed_slots_idle(patch: Patch) -> None:
    original = Kernel._step
    drop = Kernel._drop
    dropping: list[Kernel] = []

    def drop_and_rest(self: Kernel, execution: ExecutionState, error: EngineError) -> None:
        drop(self, execution, error)
        dropping.append(self)

    def step(self: Kernel, event: Event) -> list[Effect]:
        if dropping and isinstance(event, TimePassed):
            dropping.clear()
            return []
        return original(self, event)

    patch.setattr(Kernel, "_drop", drop_and_rest)
    patch.setattr(Kernel, "_step", step)


def _looks_once(patch: Patch) -> None:
    original = Kernel._claim

    def claim(self: Kernel) -> Sequence[StoredExecution]:
        claimed = original(self)
        self._look_again_at_us = None
        return claimed

    patch.setattr(Kernel, "_claim", claim)


def _completed_runs_again(patch: Patch) -> None:
    original = decide.restore

    def restore(execution: ExecutionState) -> list[TaskState]:
        for task in execution.tasks:
            if task.status is TaskStatus.COMPLETED:
                task.status = TaskStatus.READY
        return original(execution)

    patch.setattr(decide, "restore", restore)


def _output_forgotten(patch: Patch) -> None:
    def restored_in_part(stored: StoredExecution) -> ExecutionState:
        tasks = tuple(replace(task, changes=None) for task in stored.tasks)
        return restored(replace(stored, tasks=tasks))

    patch.setattr("cloacina.planner.planner.restored", restored_in_part)


def _slots_leak(patch: Patch) -> None:
    original = Planner.forget

    def forget(self: Planner, execution_id: str) -> ExecutionState | None:
        free = self._schedule.free_slots
        execution = original(self, execution_id)
        self._schedule.free_slots = free
        return execution

    patch.setattr(Planner, "forget", forget)


def _stale_places(patch: Patch) -> None:
    def is_current(self: Planner, execution: ExecutionState) -> bool:
        return execution.id in self._executions

    patch.setattr(Planner, "_is_current", is_current)


def _starts_late(patch: Patch) -> None:
    original = Planner._fill_slots

    def fill_slots(self: Planner, now: Now) -> list[Effect]:
        held, self._queue = self._queue[1:], self._queue[:1]
        effects = original(self, now)
        self._queue += held
        return effects

    patch.setattr(Planner, "_fill_slots", fill_slots)


def _starts_early(patch: Patch) -> None:
    original = decide._close

    def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
        decidable = original(execution, task, at_us)
        dependents = execution.topology.dependents[task.number]
        early = [execution.tasks[n] for n in dependents if execution.tasks[n].waiting_for == 1]
        for dependent in early:
            dependent.waiting_for = 0
        return decidable + early

    patch.setattr(decide, "_close", close)


def _retries_at_once(patch: Patch) -> None:
    original = Planner._wake_later

    def wake_later(self: Planner, execution: ExecutionState, task: TaskState, _due: int) -> None:
        original(self, execution, task, 0)

    patch.setattr(Planner, "_wake_later", wake_later)


def _timers_lost(patch: Patch) -> None:
    patch.setattr(Planner, "_wake_later", lambda *_: None)


def _queue_jumped(patch: Patch) -> None:
    original = Planner._enqueue

    def enqueue(self: Planner, execution: ExecutionState, task: TaskState) -> None:
        identity = execution.identity
        execution.identity = replace(identity, priority=-identity.priority)
        original(self, execution, task)
        execution.identity = identity

    patch.setattr(Planner, "_enqueue", enqueue)


def _failure_unnoticed(patch: Patch) -> None:
    patch.setattr(decide, "_is_unhandled", lambda *_: False)


def _taint_forgotten(patch: Patch) -> None:
    original = decide._skip

    def skip(execution: Any, task: Any, reason: Any, _sub_status: Any, at_us: Any) -> None:
        original(execution, task, reason, None, at_us)

    patch.setattr(decide, "_skip", skip)


def _loss_uncounted(patch: Patch) -> None:
    patch.setattr(decide, "MAX_LOSSES", 1)


def _half_written_batch(patch: Patch) -> None:
    original = SqliteWriter.commit

    def commit(self: SqliteWriter, executions: Sequence[ExecutionState]) -> Written:
        written = original(self, executions)
        if written.unwritten:
            raise StoreUnavailableError
        return written

    patch.setattr(SqliteWriter, "commit", commit)


def _read_after_claim(patch: Patch) -> None:
    original = SimulatedNeighbours.take_over

    def take_over(self: SimulatedNeighbours) -> Sequence[StoredExecution]:
        claimed = original(self)
        database = self._runner.world.database
        return [database.load(stored.identity.execution_id) for stored in claimed]

    patch.setattr(SimulatedNeighbours, "take_over", take_over)


def _ends_untold(patch: Patch) -> None:
    patch.setattr(SimulatedNeighbours, "tell_of_ends", lambda _: None)


PLANTED = {
    "a missing compare": Planted(_no_fence, "wrote what .* owns"),
    "a claim in the same epoch": Planted(_same_epoch, "did not raise the epoch"),
    "a forgotten token": Planted(_forgotten_token, "ended, but its body did not"),
    "an event outside the transaction": Planted(
        _event_outside_transaction, "no event of|no final event"
    ),
    "effects before the commit": Planted(_effects_before_commit, "durable"),
    "an answer before the commit": Planted(_answer_before_commit, "before it was durable"),
    "effects of what was replaced": Planted(_effects_by_name, "before that was durable"),
    "slots that stay idle": Planted(_freed_slots_idle, "wait although slots"),
    "a look around that is not repeated": Planted(_looks_once, "never ended"),
    "a completed task that runs again": Planted(_completed_runs_again, "changed after its end"),
    "an output that is forgotten": Planted(_output_forgotten, "saw|found"),
    "slots that leak": Planted(_slots_leak, "slots were lost or won"),
    "places of an earlier ownership": Planted(_stale_places, "slots were lost or won"),
    "a start that is late": Planted(_starts_late, "wait although slots"),
    "a start that is early": Planted(_starts_early, "before its dependencies ended"),
    "a retry without delay": Planted(_retries_at_once, "is early"),
    "a retry that is lost": Planted(_timers_lost, "is late|never ended"),
    "a queue without order": Planted(_queue_jumped, "jumped the queue"),
    "a failure that is not counted": Planted(_failure_unnoticed, "must end as"),
    "a skip that hides a failure": Planted(_taint_forgotten, "must be skipped"),
    "a task given up too soon": Planted(_loss_uncounted, "found"),
    "a batch written by halves": Planted(_half_written_batch, "forgot .* which it owns"),
    "a claim that is read later": Planted(_read_after_claim, "is not legal"),
    "an end that nobody is told of": Planted(_ends_untold, "was not told"),
}
