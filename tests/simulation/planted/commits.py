"""Faults in how a turn is written, and in what is done before and after that."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from cloacina.kernel.commit import Committed, Committer
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.waiters import Waiters
from cloacina.planner.effects import Effect, StartAttempt
from cloacina.planner.events import Event
from cloacina.planner.execution import ExecutionState
from cloacina.store.batch import Batch
from cloacina.store.contract import Written
from cloacina.store.writer import GroupWriter
from simulation.memory_writer import SimulatedLink, SimulatedServerLink
from simulation.planted.fault import Patch, Planted


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


def _begins_when_over(patch: Patch) -> None:
    patch.setattr(StartAttempt, "is_over", property(lambda _self: False))


def _half_written_batch(patch: Patch) -> None:
    original = GroupWriter.commit

    def commit(self: GroupWriter, executions: Sequence[ExecutionState]) -> Written:
        written = original(self, executions)
        return Written(postponed=list(executions)) if written.postponed else written

    patch.setattr(GroupWriter, "commit", commit)


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


def _event_outside_transaction(patch: Patch) -> None:
    original = SimulatedLink._insert_events

    def insert_events(self: SimulatedLink, drafts: Any, batch: Batch) -> None:
        if len(batch.rows["events"]) > 2:
            batch.rows["events"].pop()  # to be written later, if ever
        original(self, drafts, batch)

    patch.setattr(SimulatedLink, "_insert_events", insert_events)


PLANTED = {
    "effects before the commit": Planted(_effects_before_commit, "durable"),
    "an answer before the commit": Planted(_answer_before_commit, "before it was durable"),
    "effects of what was replaced": Planted(
        _effects_by_name, "before that was durable|after it had ended"
    ),
    "an attempt that begins when it is over": Planted(
        _begins_when_over, "after it had ended|before that was durable"
    ),
    "a batch written by halves": Planted(
        _half_written_batch, "forgot .* which it owns|before it was durable"
    ),
    "a batch that is written twice": Planted(_batch_written_twice, "forgot .* which it owns"),
    "a batch in doubt that is forgotten": Planted(_postponed_forgotten, "forgot .* which it owns"),
    "what was given up for what is written": Planted(
        _given_up_for_written, "before it was durable|never ended|was not cancelled as granted"
    ),
    "an event outside the transaction": Planted(
        _event_outside_transaction, "no event of|no final event|odd starts"
    ),
}
