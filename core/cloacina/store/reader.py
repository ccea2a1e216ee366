"""Read executions back, each as the planner would know it.

Every answer is fetched whole before any of it is parsed: a cursor that is left half read keeps its
connection on an old view of the database, and the pool would hand that to the next reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from cloacina.errors import ExecutionNotFoundError
from cloacina.planner.events import StoredExecution, StoredTask
from cloacina.store import offers
from cloacina.store.graphs import parse_graph
from cloacina.store.identity import identity_of
from cloacina.store.memories import memory_of, sent_to
from cloacina.store.tables import (
    ATTEMPTS,
    EVENTS,
    EXECUTIONS,
    FINAL_STATUSES,
    GRAPHS,
    TASKS,
)
from cloacina.store.timestamps import from_text
from cloacina.store.unreadable import readable
from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context

Connection = sa.Connection
"""For callers that pass one on and need not know whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSummary:
    """One line of a list of executions."""

    execution_id: str
    tenant: str
    package: str
    package_digest: str | None
    workflow: str
    workflow_version: str
    status: str
    created_at: str
    finished_at: str | None


def load(connection: sa.Connection, execution_id: str) -> StoredExecution:
    """Return everything stored about one execution.

    Raises:
        ExecutionNotFoundError: if there is none with that id.
        UnreadableExecutionError: if it cannot be read.
    """
    with readable(execution_id):
        return _load(connection, execution_id)


def _load(connection: sa.Connection, execution_id: str) -> StoredExecution:
    query = (
        sa.select(EXECUTIONS, GRAPHS.c.document)
        .join(GRAPHS, GRAPHS.c.digest == EXECUTIONS.c.graph_digest)
        .where(EXECUTIONS.c.id == execution_id)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise ExecutionNotFoundError(execution_id)
    event_count = connection.execute(
        sa.select(sa.func.max(EVENTS.c.seq)).where(EVENTS.c.execution_id == execution_id)
    ).scalar_one()
    return StoredExecution(
        identity=identity_of(row, execution_id, row["idempotency_key"]),
        topology=parse_graph(row["document"]),
        input_texts=Context.from_json(row["input"]).texts(),
        status=row["status"],
        stopping=row["stopping"],
        epoch=row["epoch"],
        event_count=event_count or 0,
        created_at_us=from_text(row["created_at"]),
        started_at_us=_moment(row["started_at"]),
        finished_at_us=_moment(row["finished_at"]),
        error_task=row["error_task"],
        error_type=row["error_type"],
        error_message=row["error_message"],
        tasks=_tasks(connection, execution_id),
        waited_us=row["waited_us"] or 0,
        waits_since_us=_moment(row["waits_since"]),
    )


def load_claimed(connection: sa.Connection, execution_id: str) -> StoredExecution:
    """Return everything that whoever is to plan an execution has to know.

    Raises:
        ExecutionNotFoundError: if there is none with that id.
        UnreadableExecutionError: if it cannot be read.
    """
    with readable(execution_id):
        return replace(
            _load(connection, execution_id),
            offers=offers.of_execution(connection, execution_id),
            sent=sent_to(connection, execution_id),
        )


def summaries(
    connection: sa.Connection,
    *,
    status: str | None = None,
    workflow: str | None = None,
    limit: int = 50,
) -> Sequence[ExecutionSummary]:
    """Return the newest executions, newest first."""
    columns = EXECUTIONS.c
    query = (
        sa.select(
            columns.id.label("execution_id"),
            columns.tenant,
            columns.package,
            columns.package_digest,
            columns.workflow,
            columns.workflow_version,
            columns.status,
            columns.created_at,
            columns.finished_at,
        )
        .order_by(columns.id.desc())
        .limit(limit)
    )
    if status is not None:
        query = query.where(columns.status == status)
    if workflow is not None:
        query = query.where(columns.workflow == workflow)
    return [ExecutionSummary(**row) for row in connection.execute(query).mappings().all()]


def existing(connection: sa.Connection, execution_ids: Sequence[str]) -> set[str]:
    """Return those of some executions that there are."""
    query = sa.select(EXECUTIONS.c.id).where(EXECUTIONS.c.id.in_(execution_ids))
    return set(connection.execute(query).scalars())


def count_unfinished(connection: sa.Connection, package_digest: str) -> int:
    """Return how many executions pinned to a package have not ended."""
    query = sa.select(sa.func.count()).where(
        EXECUTIONS.c.package_digest == package_digest,
        EXECUTIONS.c.status.not_in(FINAL_STATUSES),
    )
    return connection.execute(query).scalar_one()


def _tasks(connection: sa.Connection, execution_id: str) -> tuple[StoredTask, ...]:
    latest = sa.and_(
        ATTEMPTS.c.execution_id == TASKS.c.execution_id,
        ATTEMPTS.c.task_number == TASKS.c.number,
        ATTEMPTS.c.number == TASKS.c.attempt,
    )
    is_running = ATTEMPTS.c.outcome.is_(None)
    query = (
        sa.select(
            TASKS,
            sa.case((is_running, ATTEMPTS.c.token)).label("token"),
            ATTEMPTS.c.finished_at.label("attempt_finished_at"),
        )
        .outerjoin(ATTEMPTS, latest)
        .where(TASKS.c.execution_id == execution_id)
        .order_by(TASKS.c.number)
    )
    return tuple(_task(row) for row in connection.execute(query).mappings().all())


def _task(row: sa.RowMapping) -> StoredTask:
    return StoredTask(
        number=row["number"],
        status=row["status"],
        sub_status=row["sub_status"],
        attempt=row["attempt"],
        failures=row["failures"],
        losses=row["losses"],
        due_at_us=_moment(row["due_at"]),
        started_at_us=_moment(row["started_at"]),
        finished_at_us=_moment(row["finished_at"]),
        changes=None if row["changes"] is None else Changes.from_json(row["changes"]),
        reason=row["reason"],
        error_type=row["error_type"],
        error_message=row["error_message"],
        token=row["token"],
        parent=row["parent"],
        item=row["item"],
        elements=row["elements"],
        first_element=row["first_element"],
        memory=memory_of(row["waits"], row["checkpoint"]),
        retry_delay_us=_delay(row["attempt_finished_at"], row["due_at"]),
    )


def _delay(failed_at: str | None, due_at: str | None) -> int | None:
    if failed_at is None or due_at is None:
        return None
    return from_text(due_at) - from_text(failed_at)


def _moment(text: str | None) -> int | None:
    return None if text is None else from_text(text)
