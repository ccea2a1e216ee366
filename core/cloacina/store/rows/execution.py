"""Rows of executions, and of the graphs that they follow."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import maybe, moment, object_text, plain


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
    priority: int
    waited_us: int | None
    waits_since: str | None
    id: str
    was_status: str
    owner: str
    epoch: int


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
        maybe(plain, execution.error_type),
        maybe(plain, execution.error_message),
        moment(execution.created_at_us),
        maybe(moment, execution.started_at_us),
        maybe(moment, execution.finished_at_us),
        execution.event_count,
        identity.idempotency_key,
    )


def execution_move(execution: ExecutionState, owner: str) -> ExecutionMove:
    """Return the change of ``execution`` since its last commit."""
    return ExecutionMove(
        execution.status,
        execution.stopping,
        execution.error_task,
        maybe(plain, execution.error_type),
        maybe(plain, execution.error_message),
        maybe(moment, execution.started_at_us),
        maybe(moment, execution.finished_at_us),
        execution.event_count,
        execution.identity.priority,
        execution.waited_us or None,
        maybe(moment, execution.waits_since_us),
        execution.id,
        execution.stored_status or "",
        owner,
        execution.epoch,
    )
