"""Faults to plant in the engine or in the model of the database, each to be found by some seed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from cloacina.kernel.commit import Committed, Committer
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.lookout import Lookout
from cloacina.kernel.waiters import Waiters
from cloacina.model.states import TaskStatus
from cloacina.planner import away, restore
from cloacina.planner.effects import Effect, StartAttempt
from cloacina.planner.events import AttemptEnded, Event, Now, StoredExecution
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion
from cloacina.planner.guests import OpenOffer
from cloacina.planner.lanes import Lanes
from cloacina.planner.moves import conclude, decide, reopen, settle, withdrawal
from cloacina.planner.offered import SeenOffer
from cloacina.planner.planner import Planner
from cloacina.planner.progress import Progress
from cloacina.planner.schedule import Schedule
from cloacina.planner.slots import Slots
from cloacina.planner.task import TaskState
from cloacina.store.batch import Batch
from cloacina.store.contract import Written
from cloacina.store.writer import GroupWriter
from simulation import memory, memory_offers, memory_writer
from simulation.memory import SimulatedDatabase
from simulation.memory_offers import MemoryOffers
from simulation.memory_tables import Draft, Tables
from simulation.memory_writer import SimulatedLink, SimulatedServerLink
from simulation.neighbours import SimulatedNeighbours
from simulation.snapshot import ExecutionRow

Patch = pytest.MonkeyPatch
Executions = Mapping[str, ExecutionState]


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
    original = Progress.end_attempt

    def end_attempt(self: Progress, event: AttemptEnded, now: Now) -> list[Effect]:
        execution = self.in_flight.get(event.execution_id)
        task = execution.task(event.task_number) if execution else None
        token = task.token if task else None
        return original(self, replace(event, token=token or event.token), now)

    patch.setattr(Progress, "end_attempt", end_attempt)


def _event_outside_transaction(patch: Patch) -> None:
    original = SimulatedLink._insert_events

    def insert_events(self: SimulatedLink, drafts: Any, batch: Batch) -> None:
        if len(batch.rows["events"]) > 2:
            batch.rows["events"].pop()  # to be written later, if ever
        original(self, drafts, batch)

    patch.setattr(SimulatedLink, "_insert_events", insert_events)


def _effects_before_commit(patch: Patch) -> None:
    original = Kernel._step

    def step(self: Kernel, event: Event) -> list[Effect]:
        effects = original(self, event)
        starts = [effect for effect in effects if isinstance(effect, StartAttempt)]
        self._carry_out(starts)
        return [effect for effect in effects if effect not in starts]

    patch.setattr(Kernel, "_step", step)


def _answer_before_commit(patch: Patch) -> None:
    def answer_now(_self: Waiters, _execution_id: str, future: Future[Any], value: object) -> None:
        future.set_result(value)

    patch.setattr(Waiters, "answer_later", answer_now)


def _effects_by_name(patch: Patch) -> None:
    original = Committer.commit

    def commit(self: Committer, effects: Sequence[Effect]) -> Committed:
        committed = original(self, effects)
        known, gone = set(map(id, committed.due)), committed.gone
        left = [effect for effect in effects if id(effect) not in known]
        committed.due += [effect for effect in left if effect.execution.id not in gone]
        return committed

    patch.setattr(Committer, "commit", commit)


def _freed_slots_idle(patch: Patch) -> None:
    def withdraw(self: Planner, tokens: Iterable[str], _now: Now) -> list[Effect]:
        for token in tokens:
            self._schedule.give_back(token)
        return []

    patch.setattr(Planner, "withdraw", withdraw)


def _keys_not_unique(patch: Patch) -> None:
    patch.setattr(SimulatedLink, "_taken", lambda *_: set())


def _looks_once(patch: Patch) -> None:
    patch.setattr(Lookout, "look_later", lambda *_: None)


def _completed_runs_again(patch: Patch) -> None:
    original = restore.rebuild

    def rebuild(execution: ExecutionState) -> list[TaskState]:
        for task in execution.tasks:
            if task.status is TaskStatus.COMPLETED:
                task.status = TaskStatus.READY
        return original(execution)

    patch.setattr(restore, "rebuild", rebuild)


def _output_forgotten(patch: Patch) -> None:
    original = restore.restored

    def restored_in_part(stored: StoredExecution) -> ExecutionState:
        tasks = tuple(replace(task, changes=None) for task in stored.tasks)
        return original(replace(stored, tasks=tasks))

    patch.setattr(restore, "restored", restored_in_part)


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


def _starts_early(patch: Patch) -> None:
    original = decide.close

    def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
        decidable = original(execution, task, at_us)
        dependents = execution.topology.dependents[task.number]
        early = [execution.tasks[n] for n in dependents if execution.tasks[n].waiting_for == 1]
        for dependent in early:
            dependent.waiting_for = 0
        return decidable + early

    patch.setattr(decide, "close", close)


def _retries_at_once(patch: Patch) -> None:
    original = Schedule.retry_after

    def retry_after(
        self: Schedule, execution: ExecutionState, task: TaskState, _delay_us: int, now: Now
    ) -> None:
        original(self, execution, task, 0, now)

    patch.setattr(Schedule, "retry_after", retry_after)


def _timers_lost(patch: Patch) -> None:
    patch.setattr(Schedule, "retry_after", lambda *_: None)


def _queue_jumped(patch: Patch) -> None:
    original = Slots.wait

    def wait(self: Slots, *args: Any, age_us: int, **more: Any) -> None:
        original(self, *args, age_us=-age_us, **more)  # the younger execution first

    patch.setattr(Slots, "wait", wait)


def _failure_unnoticed(patch: Patch) -> None:
    patch.setattr(conclude, "_is_unhandled", lambda *_: False)


def _taint_forgotten(patch: Patch) -> None:
    original = decide._skip

    def skip(execution: Any, task: Any, reason: Any, _sub_status: Any, at_us: Any) -> None:
        original(execution, task, reason, None, at_us)

    patch.setattr(decide, "_skip", skip)


def _loss_uncounted(patch: Patch) -> None:
    original = settle.lose

    def lose(execution: Any, task: Any, at_us: int, _max_losses: int) -> Any:
        return original(execution, task, at_us, 1)

    patch.setattr(settle, "lose", lose)


def _half_written_batch(patch: Patch) -> None:
    original = GroupWriter.commit

    def commit(self: GroupWriter, executions: Sequence[ExecutionState]) -> Written:
        written = original(self, executions)
        return Written(postponed=list(executions)) if written.postponed else written

    patch.setattr(GroupWriter, "commit", commit)


def _wish_after_the_end(patch: Patch) -> None:
    patch.setattr(ExecutionState, "can_be_stopped", property(lambda self: self.stopping is None))


def _cancelled_decided(patch: Patch) -> None:
    original = decide.close

    def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
        original(execution, task, at_us)
        dependents = execution.topology.dependents[task.number]
        return [execution.tasks[n] for n in dependents if not execution.tasks[n].waiting_for]

    patch.setattr(decide, "close", close)


def _ends_untold(patch: Patch) -> None:
    patch.setattr(SimulatedNeighbours, "tell_of_ends", lambda _: None)


def _robbed(patch: Patch) -> None:
    original = memory.SimulatedDatabase.settle

    def settle(self: memory.SimulatedDatabase, *args: Any, **more: Any) -> Any:
        runners, self._tables.runners = self._tables.runners, {}
        try:
            return original(self, *args, **more)
        finally:
            self._tables.runners = runners

    patch.setattr(memory.SimulatedDatabase, "settle", settle)


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


def _no_limit_of_keys(patch: Patch) -> None:
    patch.setattr(SimulatedLink, "_check_slots", lambda *_: None)


def _keys_kept(patch: Patch) -> None:
    patch.setattr(Lanes, "release", lambda *_: None)


def _windows_missed(patch: Patch) -> None:
    patch.setattr(Lanes, "next_windows", lambda *_: ())


def _loose_history(patch: Patch) -> None:
    patch.setattr(withdrawal, "_strike_out", lambda *_: None)


def _begins_when_over(patch: Patch) -> None:
    patch.setattr(StartAttempt, "is_over", property(lambda _self: False))


def _batch_written_twice(patch: Patch) -> None:
    patch.setattr(SimulatedServerLink, "lose_answer", lambda _self: None)


def _postponed_forgotten(patch: Patch) -> None:
    original = GroupWriter.commit

    def commit(self: GroupWriter, executions: Sequence[ExecutionState]) -> Written:
        written = original(self, executions)
        self.abandon()  # so that the next try has another token
        return written

    patch.setattr(GroupWriter, "commit", commit)


def _given_up_for_written(patch: Patch) -> None:
    patch.setattr(GroupWriter, "abandon", lambda _self: None)


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


def _claimed_twice(patch: Patch) -> None:
    def open_offers(self: MemoryOffers, runner_id: str) -> list[OpenOffer]:
        return [memory_offers._open(row) for row in self._rows() if row.offered_by != runner_id]

    patch.setattr(MemoryOffers, "open_offers", open_offers)


def _lost_guests_awaited(patch: Patch) -> None:
    original = away.see

    def see(progress: Progress, seen: SeenOffer, now: Now) -> list[Effect]:
        return original(progress, replace(seen, is_runner_alive=True), now)

    patch.setattr(away, "see", see)


def _taken_back_unasked(patch: Patch) -> None:
    def remove_offers(self: SimulatedLink, drafts: dict[str, Draft], batch: Batch) -> None:
        for kind in ("offer_withdrawals", "offer_settlements"):
            for row in batch.rows[kind]:
                offers = self._tables.draft(drafts, str(row[0])).offers
                offers.pop(cast("tuple[int, int]", row[1:3]), None)

    patch.setattr(SimulatedLink, "_remove_offers", remove_offers)


PLANTED = {
    "a missing compare": Planted(_no_fence, "wrote what .* owns"),
    "a claim in the same epoch": Planted(_same_epoch, "did not raise the epoch"),
    "a forgotten token": Planted(
        _forgotten_token, "body did not|is not what it reported|stored another"
    ),
    "an event outside the transaction": Planted(
        _event_outside_transaction, "no event of|no final event|odd starts"
    ),
    "effects before the commit": Planted(_effects_before_commit, "durable"),
    "an answer before the commit": Planted(_answer_before_commit, "before it was durable"),
    "effects of what was replaced": Planted(
        _effects_by_name, "before that was durable|after it had ended"
    ),
    "slots that stay idle": Planted(_freed_slots_idle, "waits? although slots|never ended"),
    "a key that two executions have": Planted(_keys_not_unique, "the key of another"),
    "a look around that is not repeated": Planted(_looks_once, "never ended|was not told"),
    "a completed task that runs again": Planted(
        _completed_runs_again, "after its end|before its dep|wait although slots"
    ),
    "an output that is forgotten": Planted(_output_forgotten, "saw|found|must be skipped"),
    "slots that leak": Planted(_slots_leak, "held by nothing"),
    "places of an earlier ownership": Planted(
        _stale_places, "attempts .* run|is of TaskRow|before its dependencies|is early"
    ),
    "a start that is late": Planted(_starts_late, "waits? although slots"),
    "a start that is early": Planted(
        _starts_early, "before its dependencies ended|waits? although slots"
    ),
    "a retry without delay": Planted(_retries_at_once, "is early"),
    "a retry that is lost": Planted(_timers_lost, "is late|never ended"),
    "a queue without order": Planted(_queue_jumped, "jumped the queue"),
    "a failure that is not counted": Planted(_failure_unnoticed, "must end as"),
    "a skip that hides a failure": Planted(_taint_forgotten, "must be skipped"),
    "a task given up too soon": Planted(_loss_uncounted, "found|must be skipped|saw"),
    "a batch written by halves": Planted(
        _half_written_batch, "forgot .* which it owns|before it was durable"
    ),
    "a wish that is granted after the end": Planted(
        _wish_after_the_end, "must end as|is not legal"
    ),
    "a cancelled task that is decided": Planted(_cancelled_decided, "is not legal"),
    "an owner that is passed over": Planted(_robbed, "was robbed"),
    "a retry that forgets what depends on it": Planted(_dependents_kept, "no event of the reset"),
    "a retry that counts old failures": Planted(_budget_kept, "was reset to"),
    "an answer that is not written": Planted(_replies_lost, "was not told|in circles"),
    "a mapped task that ends early": Planted(
        _elements_left, "its elements not|found|nobody wanted"
    ),
    "elements beyond their limit": Planted(_no_limit_of_elements, "run at once"),
    "results in the order of their ends": Planted(_results_by_end, "saw|ran for|found"),
    "elements that run again": Planted(
        _elements_forgotten, "forgot .* which it owns|UNIQUE|its elements not"
    ),
    "a key that is held too often": Planted(_no_limit_of_keys, "hold the key|started as"),
    "a key that is not given back": Planted(_keys_kept, "never ended|did not give|not told"),
    "a window that nobody waits for": Planted(_windows_missed, "never ended|not told"),
    "a start that is taken back by halves": Planted(_loose_history, "odd starts"),
    "an attempt that begins when it is over": Planted(
        _begins_when_over, "after it had ended|before that was durable"
    ),
    "a batch that is written twice": Planted(_batch_written_twice, "forgot .* which it owns"),
    "a batch in doubt that is forgotten": Planted(_postponed_forgotten, "forgot .* which it owns"),
    "what was given up for what is written": Planted(
        _given_up_for_written, "before it was durable|never ended"
    ),
    "an evicted runner that goes on": Planted(_evicted_goes_on, "goes on with"),
    "an evicted runner that writes": Planted(_evicted_writes, "wrote after its eviction"),
    "a claim in doubt that is forgotten": Planted(_claim_in_doubt_forgotten, "never ended|forgot"),
    "what nobody has after a return": Planted(_leftovers_kept, "forgot .* which it owns"),
    "an end that nobody is told of": Planted(_ends_untold, "was not told"),
    "an offer that two runners claim": Planted(
        _claimed_twice, "is not what .* claimed|made Offer|was reported twice"
    ),
    "a lost guest that is waited for": Planted(_lost_guests_awaited, "never ended"),
    "an offer taken back from its claimer": Planted(
        _taken_back_unasked, "nothing is on record|before that was durable"
    ),
}
