"""A model of the database in memory: committed rows only, the same operations as the real one.

That the model is not a convenient fiction is shown by running the same seeds against SQLite: the
logs, which hold every row, must be equal byte for byte.
"""

from collections.abc import Callable, Iterable, Sequence

from cloacina.model.states import Wish
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import Identity, StoredExecution, StoredTask
from cloacina.store.commands import Command
from cloacina.store.graphs import parse_graph
from cloacina.store.ownership import Unowned
from cloacina.store.timestamps import from_text
from cloacina.store.writer import Link
from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from simulation.memory_tables import Tables
from simulation.memory_writer import SimulatedLink
from simulation.shared import Accepts
from simulation.snapshot import FINAL, AttemptRow, ExecutionRow, Snapshot, TaskRow, holds_key


class SimulatedDatabase:
    """Runners, graphs and the committed rows of executions."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._runners: list[str] = []
        self._commands: list[Command] = []

    def link(self) -> Link:
        return SimulatedLink(self._tables)

    def register(self, runner_id: str, _at_us: int) -> None:
        self._runners.append(runner_id)

    def runner_ids(self) -> list[str]:
        return sorted(self._runners)

    def release(self, gone: Iterable[str]) -> None:
        struck_out = set(gone)
        self._runners = [name for name in self._runners if name not in struck_out]
        for row in self._unfinished():
            if row.owner is not None and row.owner not in self._runners:
                self._replace(row._replace(owner=None))
        for name in sorted(self._tables.executions):
            self._give_back(name, lambda attempt: attempt.runner in struck_out)

    def unowned(self) -> list[Unowned]:
        free = [row for row in self._unfinished() if row.owner not in self._runners]
        graphs = self._tables.graphs
        return [
            Unowned(_identity(row), parse_graph(graphs[row.graph_digest]), row.epoch)
            for row in free
        ]

    def take_over(
        self, runner_id: str, dead: Iterable[str], accepts: Accepts
    ) -> Sequence[StoredExecution]:
        self.release(dead)
        claimed = [found.identity.execution_id for found in self.unowned() if accepts(found)]
        for execution_id in claimed:
            self._replace(claimed_row(self._tables.executions[execution_id].execution, runner_id))
            self._give_back(execution_id, lambda _: True)
        return list(map(self.load, claimed))

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

    def leave_command(self, command_id: str, execution_id: str, wish: Wish) -> None:
        self._commands.append(Command(id=command_id, execution_id=execution_id, wish=wish))
        self._commands.sort(key=lambda command: command.id)

    def open_commands(self) -> list[Command]:
        return list(self._commands)

    def close_commands(self, command_ids: Sequence[str]) -> None:
        self._commands = [command for command in self._commands if command.id not in command_ids]

    def snapshots(self) -> dict[str, Snapshot]:
        return self._tables.executions

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
        parent=row.parent,
        item=row.item,
        elements=row.elements,
        first_element=row.first_element,
    )


def _moment(text: str | None) -> int | None:
    return None if text is None else from_text(text)
