"""A model of the database in memory: committed rows only, the same operations as the real one.

That the model is not a convenient fiction is shown by running the same seeds against SQLite: the
logs, which hold every row, must be equal byte for byte.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from cloacina.model.states import Answer
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner import direct
from cloacina.planner.events import (
    Identity,
    Now,
    Requested,
    StoredExecution,
    StoredTask,
    Verdict,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.mailbox import SentEvent
from cloacina.planner.moves.reopen import reopened
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store.batch import Batch
from cloacina.store.direct import Settled
from cloacina.store.graphs import parse_graph
from cloacina.store.memories import memory_of
from cloacina.store.ownership import Unowned
from cloacina.store.timestamps import from_text
from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from simulation.memory_neighbours import LeasedNeighbours, LockedNeighbours
from simulation.memory_offers import MemoryOffers
from simulation.memory_tables import CommandRow, RunnerRow, Tables
from simulation.memory_writer import SimulatedLink, SimulatedServerLink
from simulation.scenario import Liveness
from simulation.shared import LosingLink
from simulation.snapshot import (
    FINAL,
    AttemptRow,
    ExecutionRow,
    SentRow,
    Snapshot,
    TaskRow,
    holds_key,
)

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class SimulatedDatabase:
    """Runners, graphs and the committed rows of executions."""

    def __init__(self, liveness: Liveness) -> None:
        self._tables = Tables()
        self._has_leases = liveness is Liveness.LEASES
        self.offers = MemoryOffers(self._tables, lambda: self._tables.runners)
        self.silent: set[str] = set()
        """The runners that pass for dead."""
        self.robbed: set[str] = set()
        """Those of them whose lock was removed, so that nobody can hold it."""
        self.held: set[str] = set()
        """The dead whose lock a runner holds that takes over from them."""

    def link(self, _runner_id: str) -> LosingLink:
        kind = SimulatedServerLink if self._has_leases else SimulatedLink
        return kind(self._tables)

    def neighbours(self, runner: "SimulatedRunner") -> Neighbours:
        return (LeasedNeighbours if self._has_leases else LockedNeighbours)(self, runner)

    def runner_ids(self) -> set[str]:
        return set(self._tables.runners)

    def silence(self, runner_id: str, *, is_dead: bool) -> None:
        self.silent.add(runner_id)
        if not is_dead:
            self.robbed.add(runner_id)

    def renew(self, runner_id: str) -> bool:
        if runner_id not in self._tables.runners:
            return False
        self.silent.discard(runner_id)
        return True

    def slots(self, runner_ids: Iterable[str]) -> int:
        """Return how many attempts runners may run at once, all together."""
        return sum(self._tables.runners[name].slots for name in runner_ids)

    def register(self, runner_id: str, slots: int) -> None:
        """Make a runner known, unless it is already; it lives."""
        self._tables.runners.setdefault(runner_id, RunnerRow(slots))
        self.silent.discard(runner_id)
        self.robbed.discard(runner_id)

    def release(self, gone: Iterable[str]) -> None:
        """Strike runners out and leave what they owned for others."""
        struck_out = set(gone)
        for name in struck_out:
            self._tables.runners.pop(name, None)
        for row in self._unfinished():
            if row.owner in struck_out:
                self._replace(row._replace(owner=None))
        for name in sorted(self._tables.executions):
            self._give_back(name, lambda attempt: attempt.runner in struck_out)

    def unowned(self) -> list[Unowned]:
        """Return the unfinished executions that nobody plans, by id."""
        known, graphs = self._tables.runners, self._tables.graphs
        free = [row for row in self._unfinished() if row.owner not in known]
        return [
            Unowned(
                _identity(row),
                _parsed(graphs[row.graph_digest]),
                row.epoch,
                row.stopping is not None,
            )
            for row in free
        ]

    def claim(self, runner_id: str, accepts: Callable[[Unowned], bool]) -> list[str]:
        """Become the owner of what nobody plans."""
        claimed = [found.identity.execution_id for found in self.unowned() if accepts(found)]
        for execution_id in claimed:
            self._replace(claimed_row(self._tables.executions[execution_id].execution, runner_id))
            self._give_back(execution_id, lambda _: True)
        return claimed

    def owned(self, runner_id: str, among: Sequence[str]) -> list[str]:
        """Return those unfinished executions that a runner owns."""
        return [row.id for row in self._unfinished() if row.owner == runner_id and row.id in among]

    def load_claimed(self, execution_id: str) -> StoredExecution:
        """Return an execution as a claim hands it to the planner."""
        offers = self.offers.of_execution(execution_id)
        sent = tuple(map(_sent_event, self._tables.executions[execution_id].sent))
        return replace(self.load(execution_id), offers=offers, sent=sent)

    def load(self, execution_id: str) -> StoredExecution:
        snapshot = self._tables.executions[execution_id]
        row = snapshot.execution
        latest = {attempt.task_number: attempt for attempt in snapshot.attempts}  # in their order
        return StoredExecution(
            identity=_identity(row),
            topology=_parsed(self._tables.graphs[row.graph_digest]),
            input_texts=Context.from_json(row.input).texts(),
            status=row.status,
            stopping=row.stopping,
            epoch=row.epoch,
            event_count=max((event.seq for event in snapshot.events), default=0),
            created_at_us=from_text(row.created_at),
            started_at_us=_moment(row.started_at),
            finished_at_us=_moment(row.finished_at),
            error_task=row.error_task,
            error_type=row.error_type,
            error_message=row.error_message,
            tasks=tuple(_stored_task(task, latest.get(task.number)) for task in snapshot.tasks),
            waited_us=row.waited_us or 0,
            waits_since_us=_moment(row.waits_since),
        )

    def taken(self, question: Question) -> Taken:
        keys: dict[str, dict[int, str]] = {}
        rates: dict[str, dict[int, str]] = {}
        for snapshot in self._tables.executions.values():
            for row in snapshot.attempts:
                if holds_key(row) and row.concurrency_key in question.keys:
                    keys.setdefault(str(row.concurrency_key), {})[row.concurrency_slot or 0] = (
                        row.token
                    )
                if row.rate_key and (row.rate_key, row.rate_slot) in question.rates:
                    rates.setdefault(row.rate_key, {})[row.rate_slot or 0] = row.token
        return Taken(question=question, keys=keys, rates=rates)

    def leave_command(self, command: Requested) -> None:
        self._tables.commands[command.command_id or ""] = CommandRow(command)

    def open_commands(self, runner_id: str) -> list[Requested]:
        """Return the open commands that a runner may obey or settle, by id."""
        return [
            command.asked
            for _, command in sorted(self._tables.commands.items())
            if command.verdict is None
            and self._is_to_be_seen(command.asked.execution_id, runner_id)
        ]

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """Return the answers that there are."""
        found = {each: self._tables.commands.get(each) for each in command_ids}
        gone = {each: Verdict(Answer.ENDED) for each, row in found.items() if row is None}
        return gone | {each: row.verdict for each, row in found.items() if row and row.verdict}

    def settle(self, request: Requested, runner_id: str, now: Now, *, is_new: bool) -> Settled:
        """Do what is asked of an execution that no runner owns, or leave it in the inbox."""
        row = self._tables.executions[request.execution_id].execution
        if row.status in FINAL:
            self._tables.answer(request.command_id or "", Verdict(Answer.ENDED))
            return Settled(Verdict(Answer.ENDED))
        if row.owner in self._tables.runners:
            if is_new:
                self.leave_command(request)
            return Settled(None)
        granted = direct.grant(self._seized(row.id, runner_id), request, now)
        self._write(granted.execution, runner_id)
        is_over = granted.execution.status.is_final
        return Settled(granted.verdict, granted.execution if is_over else None)

    def retry(
        self, execution_id: str, runner_id: str, at_us: int, *, from_failed: bool
    ) -> ExecutionState:
        """Have an execution run again that failed or was cancelled."""
        reopened(self.load_claimed(execution_id), at_us, from_failed=from_failed)  # if it may
        execution = reopened(self._seized(execution_id, runner_id), at_us, from_failed=from_failed)
        self._write(execution, runner_id)
        return execution

    def _seized(self, execution_id: str, runner_id: str) -> StoredExecution:
        row = self._tables.executions[execution_id].execution
        self._replace(claimed_row(row, runner_id))
        return self.load_claimed(execution_id)

    def _write(self, execution: ExecutionState, runner_id: str) -> None:
        runner = self._tables.runners.get(runner_id)
        signed = None if runner is None else runner.last_batch
        SimulatedLink(self._tables).write(Batch.of([execution], runner_id, ()))
        if runner is not None:
            runner.last_batch = signed  # it was no batch of the kernel's
        row = self._tables.executions[execution.id].execution
        self._replace(row._replace(owner=None))

    def _is_to_be_seen(self, execution_id: str, runner_id: str) -> bool:
        row = self._tables.executions[execution_id].execution
        is_free = row.owner not in self._tables.runners
        return row.owner == runner_id or is_free or row.status in FINAL

    def snapshots(self) -> dict[str, Snapshot]:
        return self._tables.executions

    def has_ended(self, execution_id: str) -> bool:
        """Whether an execution is in its last status."""
        return self._tables.executions[execution_id].execution.status in FINAL

    def close(self) -> None:
        pass

    def _unfinished(self) -> list[ExecutionRow]:
        executions = self._tables.executions
        found = (executions[name].execution for name in sorted(executions))
        return [row for row in found if row.status not in FINAL]

    def _give_back(self, name: str, is_affected: Callable[[AttemptRow], bool]) -> None:
        found = self._tables.executions[name]
        attempts = tuple(
            row._replace(concurrency_slot=None) if holds_key(row) and is_affected(row) else row
            for row in found.attempts
        )
        if attempts != found.attempts:
            self._tables.executions[name] = found._replace(attempts=attempts)

    def _replace(self, row: ExecutionRow) -> None:
        executions = self._tables.executions
        executions[row.id] = executions[row.id]._replace(execution=row)


_parsed = lru_cache(maxsize=64)(parse_graph)


def claimed_row(row: ExecutionRow, owner: str) -> ExecutionRow:
    """Return an execution's row after a claim."""
    return row._replace(owner=owner, epoch=row.epoch + 1)


def _identity(row: ExecutionRow) -> Identity:
    return Identity(
        execution_id=row.id,
        tenant=row.tenant,
        package=row.package,
        package_digest=row.package_digest,
        workflow=row.workflow,
        workflow_version=row.workflow_version,
        priority=row.priority,
        idempotency_key=row.idempotency_key,
    )


def _stored_task(row: TaskRow, latest: AttemptRow | None) -> StoredTask:
    failed_at = None if latest is None else _moment(latest.finished_at)
    due_at = _moment(row.due_at)
    return StoredTask(
        number=row.number,
        status=row.status,
        sub_status=row.sub_status,
        attempt=row.attempt,
        failures=row.failures,
        losses=row.losses,
        due_at_us=due_at,
        started_at_us=_moment(row.started_at),
        finished_at_us=_moment(row.finished_at),
        changes=None if row.changes is None else Changes.from_json(row.changes),
        reason=row.reason,
        error_type=row.error_type,
        error_message=row.error_message,
        token=None if latest is None or latest.outcome is not None else latest.token,
        retry_delay_us=None if failed_at is None or due_at is None else due_at - failed_at,
        parent=row.parent,
        item=row.item,
        elements=row.elements,
        first_element=row.first_element,
        memory=memory_of(row.waits, row.checkpoint),
    )


def _sent_event(row: SentRow) -> SentEvent:
    sent_at = from_text(row.sent_at)
    return SentEvent(seq=row.seq, name=row.name, payload=row.payload, at_us=sent_at)


def _moment(text: str | None) -> int | None:
    return None if text is None else from_text(text)
