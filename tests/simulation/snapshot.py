"""What the database holds about one execution, row by row, as every implementation must show it."""

from typing import NamedTuple

from cloacina.model.topology import Topology
from cloacina_sdk.spec import TaskSpec


class ExecutionRow(NamedTuple):
    id: str
    tenant: str
    package: str
    package_digest: str | None
    workflow: str
    workflow_version: str
    graph_digest: str
    status: str
    stopping: str | None
    owner: str | None
    epoch: int
    priority: int
    input: str
    error_task: str | None
    error_type: str | None
    error_message: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    event_count: int
    idempotency_key: str | None
    waited_us: int | None = None
    waits_since: str | None = None


class TaskRow(NamedTuple):
    execution_id: str
    number: int
    task: str
    status: str
    sub_status: str | None
    attempt: int
    failures: int
    losses: int
    due_at: str | None
    started_at: str | None
    finished_at: str | None
    changes: str | None
    reason: str | None
    error_type: str | None
    error_message: str | None
    elements: int | None
    first_element: int | None
    parent: int | None
    item: int | None
    waits: str | None = None
    checkpoint: str | None = None


class AttemptRow(NamedTuple):
    execution_id: str
    task_number: int
    number: int
    token: str
    runner: str
    started_at: str
    finished_at: str | None
    outcome: str | None
    error_type: str | None
    error_message: str | None
    traceback: str | None
    concurrency_key: str | None
    concurrency_slot: int | None
    rate_key: str | None
    rate_slot: int | None


def holds_key(attempt: AttemptRow) -> bool:
    """Whether an attempt has a slot of a concurrency key now."""
    return attempt.outcome is None and attempt.concurrency_slot is not None


class EventRow(NamedTuple):
    execution_id: str
    seq: int
    task_number: int | None
    kind: str
    at: str
    detail: str | None


class LogRow(NamedTuple):
    execution_id: str
    task_number: int
    attempt: int
    seq: int
    at: str
    source: str
    level: int
    logger: str
    text: str


class SentRow(NamedTuple):
    execution_id: str
    seq: int
    name: str
    payload: str | None
    sent_at: str


class OfferRow(NamedTuple):
    execution_id: str
    task_number: int
    attempt: int
    offered_by: str
    epoch: int
    tenant: str
    package: str
    package_digest: str | None
    workflow: str
    workflow_version: str
    task: str
    is_async: int
    priority: int
    timeout_ms: int | None
    context: str
    created_at: str
    claimed_by: str | None
    token: str | None
    claimed_at: str | None
    stop_asked_at: str | None
    outcome: str | None
    finished_at: str | None


Row = ExecutionRow | TaskRow | AttemptRow | EventRow | OfferRow | LogRow | SentRow


class Snapshot(NamedTuple):
    """Everything about one execution.

    Tasks by number, attempts by task and number, events by seq, offers by task and attempt.
    """

    execution: ExecutionRow
    tasks: tuple[TaskRow, ...]
    attempts: tuple[AttemptRow, ...]
    events: tuple[EventRow, ...]
    offers: tuple[OfferRow, ...] = ()
    logs: tuple[LogRow, ...] = ()
    sent: tuple[SentRow, ...] = ()

    def task(self, number: int) -> TaskRow:
        """Return the row of a task of the graph, all of which exist, or of an element."""
        if number < len(self.tasks) and self.tasks[number].number == number:
            return self.tasks[number]
        return next(task for task in self.tasks if task.number == number)

    def elements(self, parent: TaskRow) -> list[TaskRow]:
        """Return the rows of a mapped task's elements, by number."""
        return [task for task in self.tasks if task.parent == parent.number]

    def is_held_back(self, element: TaskRow, topology: Topology) -> bool:
        """Whether a task may have to wait for a key or rate, or an element for others of its task."""
        if spec_of(topology, element).throttle is not None:
            return True
        if element.parent is None:
            return False
        mapped = topology.tasks[element.parent].mapped
        running = [t for t in self.elements(self.tasks[element.parent]) if t.status == "Running"]
        limit = None if mapped is None else mapped.max_parallel
        return limit is not None and len(running) >= limit


def spec_of(topology: Topology, task: TaskRow) -> TaskSpec:
    """Return what describes a task, or the task that an element belongs to."""
    return topology.tasks[task.number if task.parent is None else task.parent]


FINAL = frozenset({"Completed", "Failed", "Skipped", "Cancelled"})
"""The statuses of tasks and executions that nothing leaves, written down once more on purpose."""


def changed_rows(before: Snapshot | None, after: Snapshot) -> list[str]:
    """Describe every row that differs, for the log; whole rows, so that equal logs mean equal rows."""
    known: set[tuple[object, ...]] = set()
    if before is not None:
        known = {
            before.execution,
            *before.tasks,
            *before.attempts,
            *before.events,
            *before.offers,
            *before.logs,
            *before.sent,
        }
    rows: list[Row] = [
        after.execution,
        *after.tasks,
        *after.attempts,
        *after.events,
        *after.offers,
        *after.logs,
        *after.sent,
    ]
    left = {offer[:3] for offer in after.offers}
    gone = [offer[:3] for offer in (before.offers if before else ()) if offer[:3] not in left]
    return [
        *(_described(row) for row in rows if row not in known),
        *(
            f"no offer any more of {execution} task {task} attempt {n}"
            for execution, task, n in gone
        ),
    ]


def _described(row: Row) -> str:
    kind = type(row).__name__.removesuffix("Row").lower()
    fields = zip(row._fields, row, strict=True)
    return f"{kind} " + " ".join(f"{name}={value}" for name, value in fields if value is not None)
