"""The real writer's batches, applied to tables in memory with the same compare-and-set."""

from collections.abc import Mapping
from typing import cast

from cloacina.errors import EvictedError
from cloacina.model.states import Answer
from cloacina.planner.events import Verdict
from cloacina.planner.offered import SeenOffer
from cloacina.store.batch import Batch
from cloacina.store.rows.attempt import AttemptClose, NewAttempt
from cloacina.store.rows.execution import ExecutionMove, NewExecution
from cloacina.store.rows.history import NewEvent
from cloacina.store.rows.log import NewLogLine
from cloacina.store.rows.memory import MemoryRow, NewSentEvent
from cloacina.store.rows.offer import NewOffer, OfferSettlement, OfferStop, OfferWithdrawal
from cloacina.store.rows.reply import CommandReply
from cloacina.store.rows.task import NewTask, TaskColumns, TaskMove
from cloacina.store.writer import (
    ClaimedError,
    DuplicateError,
    MissedError,
    RefusedError,
    SlotTakenError,
)
from simulation.memory_offers import seen_offer
from simulation.memory_tables import Draft, Tables, insert
from simulation.snapshot import (
    AttemptRow,
    EventRow,
    ExecutionRow,
    LogRow,
    OfferRow,
    SentRow,
    TaskRow,
    holds_key,
)


class SimulatedLink:
    """Only the transaction differs from a real one: the batches are the real writer's."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def close(self) -> None:
        pass

    def lose_answer(self) -> None:
        raise AssertionError("a file answers")

    def write(self, batch: Batch) -> None:
        self._check_fences(batch)
        graphs = {str(digest): str(text) for digest, text in batch.rows["graphs"]}
        drafts: dict[str, Draft] = {}
        try:
            self._insert_executions(drafts, batch, self._tables.graphs | graphs)
            self._remove_offers(drafts, batch)
            self._change_tasks(drafts, batch)
            self._change_memories(drafts, batch)
            self._change_attempts(drafts, batch)
            self._insert_offers(drafts, batch)
            self._move_executions(drafts, batch)
            self._insert_sent(drafts, batch)
            self._insert_logs(drafts, batch)
            self._insert_events(drafts, batch)
        except ValueError as error:
            raise RefusedError(error) from error
        self._tables.install(drafts, graphs)
        for reply in cast("list[CommandReply]", batch.rows["replies"]):
            self._tables.answer(reply.id, Verdict(Answer(reply.answer), reply.detail or ""))
        if batch.owner in self._tables.runners:
            self._tables.runners[batch.owner].last_batch = batch.token

    def _check_fences(self, batch: Batch) -> None:
        for execution_id, epoch in batch.fences.items():
            found = self._tables.executions.get(execution_id)
            if found is None or not is_fenced_in(found.execution, batch.owner, epoch):
                raise MissedError

    def _insert_executions(
        self, drafts: dict[str, Draft], batch: Batch, graphs: Mapping[str, str]
    ) -> None:
        for new in _new(batch):
            if new.id in self._tables.executions:
                raise ValueError("UNIQUE constraint failed")
            if new.graph_digest not in graphs:
                raise ValueError("FOREIGN KEY constraint failed")
            if new.idempotency_key is not None and _scope(new) in self._taken(drafts):
                raise DuplicateError(ValueError("UNIQUE constraint failed"))
            insert(drafts, new.id, Draft(ExecutionRow(*new)))

    def _remove_offers(self, drafts: dict[str, Draft], batch: Batch) -> None:
        claimed: list[SeenOffer] = []
        for withdrawal in cast("list[OfferWithdrawal]", batch.rows["offer_withdrawals"]):
            offers = self._tables.draft(drafts, withdrawal.execution_id).offers
            offer = offers.get(withdrawal[1:])
            if offer is None:
                raise MissedError
            if offer.claimed_by is None:
                del offers[withdrawal[1:]]
            else:
                claimed.append(seen_offer(offer, is_runner_alive=False))
        if claimed:
            raise ClaimedError(claimed)
        for stop in cast("list[OfferStop]", batch.rows["offer_stops"]):
            offers = self._tables.draft(drafts, stop.execution_id).offers
            key = stop.task_number, stop.attempt
            if key not in offers or offers[key].token != stop.token:
                raise MissedError
            offers[key] = offers[key]._replace(stop_asked_at=stop.stop_asked_at)
        for settled in cast("list[OfferSettlement]", batch.rows["offer_settlements"]):
            offers = self._tables.draft(drafts, settled.execution_id).offers
            key = settled.task_number, settled.attempt
            if key not in offers or offers[key].token != settled.token:
                raise MissedError
            del offers[key]

    def _insert_offers(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for new in cast("list[NewOffer]", batch.rows["offers"]):
            offers = self._tables.draft(drafts, new.execution_id).offers
            row = OfferRow(*new, None, None, None, None, None, None)
            insert(offers, (new.task_number, new.attempt), row)

    def _taken(self, drafts: Mapping[str, Draft]) -> set[tuple[str | None, ...]]:
        stored = {_scope(snapshot.execution) for snapshot in self._tables.executions.values()}
        return stored | {_scope(draft.execution) for draft in drafts.values()}

    def _change_tasks(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for new in cast("list[NewTask]", batch.rows["tasks"]):
            tasks = self._tables.draft(drafts, new.execution_id).tasks
            insert(tasks, new.number, TaskRow(*new))
        for move in cast("list[TaskMove]", batch.rows["task_moves"]):
            draft = self._tables.draft(drafts, move.execution_id)
            task = draft.tasks.get(move.number)
            if task is None or (task.status, task.attempt) != (move.was_status, move.was_attempt):
                raise MissedError
            columns = move[: len(TaskColumns._fields)]
            draft.tasks[move.number] = TaskRow._make((*task[:3], *columns, *task[-4:]))

    def _change_memories(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for change in cast("list[MemoryRow]", batch.rows["memories"]):
            tasks = self._tables.draft(drafts, change.execution_id).tasks
            task = tasks.get(change.number)
            if task is None or task.attempt != change.attempt:
                raise MissedError
            tasks[change.number] = task._replace(waits=change.waits, checkpoint=change.checkpoint)

    def _change_attempts(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for start in cast("list[NewAttempt]", batch.rows["attempts"]):
            draft = self._tables.draft(drafts, start.execution_id)
            if start.task_number not in draft.tasks:
                raise ValueError("FOREIGN KEY constraint failed")
            self._check_slots(drafts, start)
            attempt = AttemptRow(*start[:6], None, None, None, None, None, *start[6:])
            insert(draft.attempts, (start.task_number, start.number), attempt)
        for close in cast("list[AttemptClose]", batch.rows["attempt_closes"]):
            draft = self._tables.draft(drafts, close.execution_id)
            key = close.task_number, close.number
            found = draft.attempts.get(key)
            if found is None or found.token != close.token or found.outcome is not None:
                raise MissedError
            draft.attempts[key] = AttemptRow(*found[:6], *close[:5], *found[11:])

    def _check_slots(self, drafts: Mapping[str, Draft], start: NewAttempt) -> None:
        if start.concurrency_slot is None and start.rate_slot is None:
            return
        wanted_key = start.concurrency_key, start.concurrency_slot
        wanted_rate = start.rate_key, start.rate_slot
        for name in {*self._tables.executions, *drafts}:
            draft = drafts.get(name)
            found = draft.attempts.values() if draft else self._tables.executions[name].attempts
            for attempt in found:
                if holds_key(attempt) and wanted_key == (
                    attempt.concurrency_key,
                    attempt.concurrency_slot,
                ):
                    raise SlotTakenError(ValueError("UNIQUE constraint failed"))
                has_rate = attempt.rate_slot is not None
                if has_rate and wanted_rate == (attempt.rate_key, attempt.rate_slot):
                    raise SlotTakenError(ValueError("UNIQUE constraint failed"))

    def _move_executions(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for move in cast("list[ExecutionMove]", batch.rows["execution_moves"]):
            draft = self._tables.draft(drafts, move.id)
            row = draft.execution
            if row.status != move.was_status or not is_fenced_in(row, move.owner, move.epoch):
                raise MissedError
            draft.execution = row._replace(
                status=move.to_status,
                stopping=move.stopping,
                error_task=move.error_task,
                error_type=move.error_type,
                error_message=move.error_message,
                started_at=move.started_at,
                finished_at=move.finished_at,
                event_count=move.event_count,
                priority=move.priority,
                waited_us=move.waited_us,
                waits_since=move.waits_since,
            )

    def _insert_sent(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for new in cast("list[NewSentEvent]", batch.rows["sent_events"]):
            sent = self._tables.draft(drafts, new.execution_id).sent
            insert(sent, new.seq, SentRow._make(new))

    def _insert_logs(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for new in cast("list[NewLogLine]", batch.rows["logs"]):
            draft = self._tables.draft(drafts, new.execution_id)
            insert(draft.logs, (new.task_number, new.attempt, new.seq), LogRow._make(new))

    def _insert_events(self, drafts: dict[str, Draft], batch: Batch) -> None:
        for new in cast("list[NewEvent]", batch.rows["events"]):
            events = self._tables.draft(drafts, new.execution_id).events
            insert(events, new.seq, EventRow._make(new))


class SimulatedServerLink(SimulatedLink):
    """As a server takes batches: only from those it knows, and once each."""

    _is_in_doubt = False

    def lose_answer(self) -> None:
        self._is_in_doubt = True

    def write(self, batch: Batch) -> None:
        is_in_doubt, self._is_in_doubt = self._is_in_doubt, False
        runner = self._tables.runners.get(batch.owner)
        if runner is None and not is_known(self._tables, batch.owner):
            raise EvictedError(batch.owner)
        if is_in_doubt and runner is not None and runner.last_batch == batch.token:
            return
        if any(new.id in self._tables.executions for new in _new(batch)):
            raise MissedError  # it was committed before its runner was evicted
        super().write(batch)


def is_known(tables: Tables, runner_id: str) -> bool:
    """Whether a runner is registered, and may write."""
    return runner_id in tables.runners


def _new(batch: Batch) -> "list[NewExecution]":
    return cast("list[NewExecution]", batch.rows["executions"])


def _scope(row: ExecutionRow | NewExecution) -> tuple[str | None, ...]:
    return row.tenant, row.package, row.workflow, row.idempotency_key


def is_fenced_in(row: ExecutionRow, owner: str, epoch: int) -> bool:
    """Whether a write of ``owner`` in ``epoch`` may take effect."""
    return (row.owner, row.epoch) == (owner, epoch)
