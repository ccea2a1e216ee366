"""The rows that one commit writes, in the order of each statement's parameters."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeVar

from cloacina.planner.execution import ExecutionState, TaskState
from cloacina.store.timestamps import to_text
from cloacina_sdk.changes import Changes
from cloacina_sdk.json_text import encode

_Value = TypeVar("_Value")
_moment = lru_cache(maxsize=256)(to_text)


class GraphRow(NamedTuple):
    """A graph, stored once under its digest."""

    digest: str
    document: str


class NewExecution(NamedTuple):
    """An execution's first row."""

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


class ExecutionMove(NamedTuple):
    """A change of an execution, if it is still as the last commit left it and still ours."""

    to_status: str
    stopping: str | None
    error_task: str | None
    error_type: str | None
    error_message: str | None
    started_at: str | None
    finished_at: str | None
    event_count: int
    id: str
    was_status: str
    owner: str
    epoch: int


class TaskColumns(NamedTuple):
    """What can change about a task."""

    to_status: str
    to_sub_status: str | None
    to_attempt: int
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


class NewTask(NamedTuple):
    """A task's first row."""

    execution_id: str
    number: int
    task: str
    to_status: str
    to_sub_status: str | None
    to_attempt: int
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


class TaskMove(NamedTuple):
    """A change of a task, if it is still as the last commit left it."""

    to_status: str
    to_sub_status: str | None
    to_attempt: int
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
    execution_id: str
    number: int
    was_status: str
    was_attempt: int


class NewAttempt(NamedTuple):
    """An attempt, recorded before its body runs."""

    execution_id: str
    task_number: int
    number: int
    token: str
    runner: str
    started_at: str
    concurrency_key: str | None
    concurrency_slot: int | None
    rate_key: str | None
    rate_slot: int | None


class AttemptClose(NamedTuple):
    """The end of an attempt, if nobody recorded one yet."""

    finished_at: str
    outcome: str
    error_type: str | None
    error_message: str | None
    traceback: str | None
    execution_id: str
    task_number: int
    number: int
    token: str


class NewOffer(NamedTuple):
    """An attempt on offer to any runner, with all that its body needs."""

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


class OfferWithdrawal(NamedTuple):
    """The removal of an offer, if nobody has claimed it."""

    execution_id: str
    task_number: int
    attempt: int


class OfferStop(NamedTuple):
    """A request to whoever claimed an offer to end the attempt."""

    stop_asked_at: str
    execution_id: str
    task_number: int
    attempt: int
    token: str


class OfferSettlement(NamedTuple):
    """The removal of an offer whose attempt has an end on record."""

    execution_id: str
    task_number: int
    attempt: int
    token: str


class NewEvent(NamedTuple):
    """One line of history."""

    execution_id: str
    seq: int
    task_number: int | None
    kind: str
    at: str
    detail: str | None


def new_execution(execution: ExecutionState, owner: str | None, graph_digest: str) -> NewExecution:
    """Return the first row of ``execution``."""
    identity = execution.identity
    return NewExecution(
        execution.id,
        identity.tenant,
        identity.package,
        identity.package_digest,
        identity.workflow,
        identity.workflow_version,
        graph_digest,
        execution.status,
        execution.stopping,
        owner,
        execution.epoch,
        identity.priority,
        object_text(execution.input_texts),
        execution.error_task,
        _maybe(plain, execution.error_type),
        _maybe(plain, execution.error_message),
        _moment(execution.created_at_us),
        _maybe(_moment, execution.started_at_us),
        _maybe(_moment, execution.finished_at_us),
        execution.event_count,
        identity.idempotency_key,
    )


def execution_move(execution: ExecutionState, owner: str) -> ExecutionMove:
    """Return the change of ``execution`` since its last commit."""
    return ExecutionMove(
        execution.status,
        execution.stopping,
        execution.error_task,
        _maybe(plain, execution.error_type),
        _maybe(plain, execution.error_message),
        _maybe(_moment, execution.started_at_us),
        _maybe(_moment, execution.finished_at_us),
        execution.event_count,
        execution.id,
        execution.stored_status or "",
        owner,
        execution.epoch,
    )


def new_tasks(execution: ExecutionState) -> list[NewTask]:
    """Return the rows of tasks that are not stored yet."""
    return [
        NewTask(
            execution.id,
            task.number,
            execution.spec(task.number).id,
            *_columns(task),
            task.parent,
            task.item,
        )
        for task in execution.unsaved.tasks.values()
        if task.stored is None
    ]


def task_moves(execution: ExecutionState) -> list[TaskMove]:
    """Return the changes of tasks that are stored already."""
    return [
        TaskMove(*_columns(task), execution.id, task.number, *task.stored)
        for task in execution.unsaved.tasks.values()
        if task.stored is not None
    ]


def _columns(task: TaskState) -> TaskColumns:
    return TaskColumns(
        task.status,
        task.sub_status,
        task.attempt,
        task.failures,
        task.losses,
        _maybe(_moment, task.due_at_us),
        _maybe(_moment, task.started_at_us),
        _maybe(_moment, task.finished_at_us),
        # what a mapped task passes on is put together from the rows of its elements
        None if task.elements is not None else _maybe(Changes.to_json, task.changes),
        _maybe(plain, task.reason),
        _maybe(plain, task.error_type),
        _maybe(plain, task.error_message),
        task.elements,
        task.first_element,
    )


def new_attempts(execution: ExecutionState, runner: str) -> list[NewAttempt]:
    """Return the attempts that were started."""
    return [
        NewAttempt(
            execution.id,
            start.task_number,
            start.attempt,
            start.token,
            start.runner or runner,
            _moment(start.started_at_us),
            start.claim.key,
            start.claim.key_slot,
            start.claim.rate_key,
            start.claim.rate_slot,
        )
        for start in execution.unsaved.starts
    ]


def attempt_closes(execution: ExecutionState) -> list[AttemptClose]:
    """Return the attempts that ended."""
    return [
        AttemptClose(
            _moment(end.finished_at_us),
            end.outcome,
            plain(end.failure.error_type) if end.failure else None,
            plain(end.failure.message) if end.failure else None,
            plain(end.failure.traceback) if end.failure else None,
            execution.id,
            end.task_number,
            end.attempt,
            end.token,
        )
        for end in execution.unsaved.ends
    ]


def new_offers(execution: ExecutionState, owner: str) -> list[NewOffer]:
    """Return the offers that were made."""
    if execution.unsaved.offers is None:
        return []
    identity = execution.identity
    tasks = execution.topology.tasks
    return [
        NewOffer(
            execution.id,
            offering.task_number,
            offering.attempt,
            owner,
            execution.epoch,
            identity.tenant,
            identity.package,
            identity.package_digest,
            identity.workflow,
            identity.workflow_version,
            tasks[offering.task_number].id,
            int(tasks[offering.task_number].is_async),
            identity.priority,
            tasks[offering.task_number].timeout_ms,
            object_text(offering.texts),
            _moment(offering.at_us),
        )
        for offering in execution.unsaved.offers.made.values()
    ]


def offer_withdrawals(execution: ExecutionState) -> list[OfferWithdrawal]:
    """Return the offers that are taken back."""
    changes = execution.unsaved.offers
    return [] if changes is None else [OfferWithdrawal(execution.id, *k) for k in changes.withdrawn]


def offer_stops(execution: ExecutionState) -> list[OfferStop]:
    """Return what is asked of attempts that run elsewhere."""
    changes = execution.unsaved.offers
    return [
        OfferStop(_moment(s.at_us), execution.id, s.task_number, s.attempt, s.token)
        for s in (changes.stops if changes else ())
    ]


def offer_settlements(execution: ExecutionState) -> list[OfferSettlement]:
    """Return the offers whose attempts ended."""
    changes = execution.unsaved.offers
    return [
        OfferSettlement(execution.id, s.task_number, s.attempt, s.token)
        for s in (changes.settled if changes else ())
    ]


def new_events(execution: ExecutionState) -> list[NewEvent]:
    """Return the lines of history that are not stored yet."""
    return [
        NewEvent(
            execution.id,
            line.seq,
            line.task_number,
            line.kind,
            _moment(line.at_us),
            _maybe(plain, line.detail),
        )
        for line in execution.unsaved.history
    ]


def object_text(texts: Mapping[str, str]) -> str:
    """Join key -> JSON text into the text of one JSON object, without parsing the values."""
    return "{" + ",".join(f"{encode(key)}:{text}" for key, text in texts.items()) + "}"


def plain(text: str) -> str:
    """Return what an exception says as text that every database stores: no NUL, no surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _maybe(to_text: Callable[[_Value], str], value: _Value | None) -> str | None:
    return None if value is None else to_text(value)
