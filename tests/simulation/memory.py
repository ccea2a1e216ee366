"""A model of the database in memory: committed rows only, the same operations as the real one.

That the model is not a convenient fiction is shown by running the same seeds against SQLite: the
logs, which hold every row, must be equal byte for byte.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cloacina.model.states import Answer
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
from cloacina.planner.reopen import reopened
from cloacina.store.batch import Batch
from cloacina.store.direct import Settled
from cloacina.store.graphs import parse_graph
from cloacina.store.ownership import Unowned
from cloacina.store.timestamps import from_text
from cloacina.store.writer import Link
from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from simulation.memory_offers import MemoryOffers
from simulation.memory_tables import CommandRow, Tables
from simulation.memory_writer import SimulatedLink
from simulation.shared import Accepts
from simulation.snapshot import FINAL, ExecutionRow, Snapshot, TaskRow


class SimulatedDatabase:
    """Runners, graphs and the committed rows of executions."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._runners: dict[str, int] = {}
        self.offers = MemoryOffers(self._tables, lambda: self._runners)

    def link(self) -> Link:
        return SimulatedLink(self._tables)

    def register(self, runner_id: str, _at_us: int, slots: int) -> None:
        self._runners[runner_id] = slots

    def slots_of_peers(self, runner_id: str) -> int:
        return sum(slots for name, slots in self._runners.items() if name != runner_id)

    def runner_ids(self) -> list[str]:
        return sorted(self._runners)

    def release(self, gone: Iterable[str]) -> None:
        struck_out = set(gone)
        for name in struck_out & self._runners.keys():
            del self._runners[name]
        for row in self._unfinished():
            if row.owner is not None and row.owner not in self._runners:
                self._replace(row._replace(owner=None))

    def unowned(self) -> list[Unowned]:
        free = [row for row in self._unfinished() if row.owner not in self._runners]
        graphs = self._tables.graphs
        return [
            Unowned(
                _identity(row),
                parse_graph(graphs[row.graph_digest]),
                row.epoch,
                row.stopping is not None,
            )
            for row in free
        ]

    def take_over(
        self, runner_id: str, dead: Iterable[str], accepts: Accepts
    ) -> Sequence[StoredExecution]:
        self.release(dead)
        claimed = [found.identity.execution_id for found in self.unowned() if accepts(found)]
        for execution_id in claimed:
            self._replace(claimed_row(self._tables.executions[execution_id].execution, runner_id))
        return list(map(self._load_with_offers, claimed))

    def load(self, execution_id: str) -> StoredExecution:
        snapshot = self._tables.executions[execution_id]
        row = snapshot.execution
        running = {a.task_number: a.token for a in snapshot.attempts if a.outcome is None}
        return StoredExecution(
            identity=_identity(row),
            topology=parse_graph(self._tables.graphs[row.graph_digest]),
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
            tasks=tuple(_stored_task(task, running.get(task.number)) for task in snapshot.tasks),
        )

    def leave_command(self, command: Requested) -> None:
        self._tables.commands[command.command_id or ""] = CommandRow(command)

    def open_commands(self, runner_id: str) -> list[Requested]:
        return [
            command.asked
            for _, command in sorted(self._tables.commands.items())
            if command.verdict is None
            and self._is_to_be_seen(command.asked.execution_id, runner_id)
        ]

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        found = {each: self._tables.commands[each].verdict for each in command_ids}
        return {each: verdict for each, verdict in found.items() if verdict is not None}

    def settle(self, request: Requested, runner_id: str, now: Now, *, is_new: bool) -> Settled:
        row = self._tables.executions[request.execution_id].execution
        if row.status in FINAL:
            self._tables.answer(request.command_id or "", Verdict(Answer.ENDED))
            return Settled(Verdict(Answer.ENDED))
        if row.owner in self._runners:
            if is_new:
                self.leave_command(request)
            return Settled(None)
        self._replace(claimed_row(row, runner_id))
        granted = direct.grant(self._load_with_offers(row.id), request, now)
        self.link().write(Batch.of([granted.execution], runner_id, ()))
        row = self._tables.executions[row.id].execution
        if row.status not in FINAL:
            self._replace(row._replace(owner=None))
            return Settled(granted.verdict)
        return Settled(granted.verdict, granted.execution)

    def snapshots(self) -> dict[str, Snapshot]:
        return self._tables.executions

    def close(self) -> None:
        pass

    def retry(
        self, execution_id: str, runner_id: str, at_us: int, *, from_failed: bool
    ) -> ExecutionState:
        execution = reopened(self._load_with_offers(execution_id), at_us, from_failed=from_failed)
        row = claimed_row(self._tables.executions[execution_id].execution, runner_id)
        self._replace(row)
        execution.epoch = row.epoch
        self.link().write(Batch.of([execution], runner_id, ()))
        row = self._tables.executions[execution_id].execution
        if row.status not in FINAL:
            self._replace(row._replace(owner=None))
        return execution

    def _load_with_offers(self, execution_id: str) -> StoredExecution:
        found = self.offers.of_execution(execution_id)
        return replace(self.load(execution_id), offers=found)

    def _is_to_be_seen(self, execution_id: str, runner_id: str) -> bool:
        row = self._tables.executions[execution_id].execution
        return row.owner == runner_id or row.owner not in self._runners or row.status in FINAL

    def _unfinished(self) -> list[ExecutionRow]:
        executions = self._tables.executions
        found = (executions[name].execution for name in sorted(executions))
        return [row for row in found if row.status not in FINAL]

    def _replace(self, row: ExecutionRow) -> None:
        executions = self._tables.executions
        executions[row.id] = executions[row.id]._replace(execution=row)


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


def _stored_task(row: TaskRow, token: str | None) -> StoredTask:
    return StoredTask(
        number=row.number,
        status=row.status,
        sub_status=row.sub_status,
        attempt=row.attempt,
        failures=row.failures,
        losses=row.losses,
        due_at_us=_moment(row.due_at),
        started_at_us=_moment(row.started_at),
        finished_at_us=_moment(row.finished_at),
        changes=None if row.changes is None else Changes.from_json(row.changes),
        reason=row.reason,
        error_type=row.error_type,
        error_message=row.error_message,
        token=token,
    )


def _moment(text: str | None) -> int | None:
    return None if text is None else from_text(text)
