"""The tables, defined once for every database.

Times are UTC text with microseconds (``2026-11-20T19:30:00.000001Z``), which sorts as time does.
Contexts are JSON text. Tasks are numbered within their execution; a workflow's graph is stored
once under its digest, however many executions are planned with it.
"""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

FINAL_STATUSES: Final = ("Completed", "Failed", "Cancelled")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null)


RUNNERS: Final = sa.Table(
    "runners",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    _text("host"),
    _number("process_id"),
    _text("started_at"),
    # PostgreSQL alone knows leases, by its own clock; on SQLite a lock says who lives
    sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
    _text("last_batch", null=True),
    _number("slots", null=True),
)

GRAPHS: Final = sa.Table(
    "graphs",
    METADATA,
    sa.Column("digest", sa.Text, primary_key=True),
    _text("document"),
)

EXECUTIONS: Final = sa.Table(
    "workflow_executions",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    _text("tenant"),
    _text("package"),
    _text("package_digest", null=True),
    _text("workflow"),
    _text("workflow_version"),
    sa.Column("graph_digest", sa.Text, sa.ForeignKey(GRAPHS.c.digest), nullable=False),
    _text("status"),
    _text("owner", null=True),
    _number("epoch"),
    _number("priority"),
    _text("input"),
    _text("error_task", null=True),
    _text("error_type", null=True),
    _text("error_message", null=True),
    _text("created_at"),
    _text("started_at", null=True),
    _text("finished_at", null=True),
    _number("event_count"),
    _text("stopping", null=True),
    _text("idempotency_key", null=True),
    # of the time that its workflow may take: what does not count, and since when none counts
    sa.Column("waited_us", sa.BigInteger, nullable=True),
    _text("waits_since", null=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_workflow_executions_created_at", EXECUTIONS.c.created_at)
sa.Index("ix_workflow_executions_graph_digest", EXECUTIONS.c.graph_digest)
_UNFINISHED = sa.text("status NOT IN ('Completed', 'Failed', 'Cancelled')")
sa.Index(
    "ix_workflow_executions_unfinished",
    EXECUTIONS.c.owner,
    sqlite_where=_UNFINISHED,
    postgresql_where=_UNFINISHED,
)

UNIQUE_KEY: Final = "ux_workflow_executions_idempotency_key"
sa.Index(
    UNIQUE_KEY,
    *(EXECUTIONS.c.tenant, EXECUTIONS.c.package, EXECUTIONS.c.workflow),
    EXECUTIONS.c.idempotency_key,
    unique=True,
    sqlite_where=EXECUTIONS.c.idempotency_key.is_not(None),
    postgresql_where=EXECUTIONS.c.idempotency_key.is_not(None),
)

COMMANDS: Final = sa.Table(
    "commands",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), nullable=False),
    _text("wish"),
    _text("created_at"),
    _text("answered_at", null=True),
    _text("answer", null=True),
    _text("argument", null=True),
    _text("detail", null=True),
)
sa.Index("ix_commands_execution_id", COMMANDS.c.execution_id)
sa.Index(
    "ix_commands_open",
    COMMANDS.c.execution_id,
    sqlite_where=sa.text("answered_at IS NULL"),
    postgresql_where=sa.text("answered_at IS NULL"),
)

TASKS: Final = sa.Table(
    "task_executions",
    METADATA,
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _text("task"),
    _text("status"),
    _text("sub_status", null=True),
    _number("attempt"),
    _number("failures"),
    _number("losses"),
    _text("due_at", null=True),
    _text("started_at", null=True),
    _text("finished_at", null=True),
    _text("changes", null=True),
    _text("reason", null=True),
    _text("error_type", null=True),
    _text("error_message", null=True),
    # an element of a mapped task has a parent and a place; a mapped task says how many it has
    _number("elements", null=True),
    _number("first_element", null=True),
    _number("parent", null=True),
    _number("item", null=True),
    # of a task that takes a handle: its waits, and what it stored for later runs (JSON texts)
    _text("waits", null=True),
    _text("checkpoint", null=True),
    sqlite_with_rowid=False,
)

SENT_EVENTS: Final = sa.Table(
    "sent_events",
    METADATA,
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    _text("name"),
    _text("payload", null=True),
    _text("sent_at"),
    sqlite_with_rowid=False,
)

ATTEMPTS: Final = sa.Table(
    "task_attempts",
    METADATA,
    sa.Column("execution_id", sa.Text, primary_key=True),
    sa.Column("task_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _text("token"),
    _text("runner"),
    _text("started_at"),
    _text("finished_at", null=True),
    _text("outcome", null=True),
    _text("error_type", null=True),
    _text("error_message", null=True),
    _text("traceback", null=True),
    _text("concurrency_key", null=True),
    _number("concurrency_slot", null=True),
    _text("rate_key", null=True),
    sa.Column("rate_slot", sa.BigInteger, nullable=True),
    sa.ForeignKeyConstraint(
        ["execution_id", "task_number"], [TASKS.c.execution_id, TASKS.c.number]
    ),
    sqlite_with_rowid=False,
)
_HOLDS_KEY = sa.text("finished_at IS NULL AND concurrency_slot IS NOT NULL")
sa.Index(
    "ux_task_attempts_key_slot",
    ATTEMPTS.c.concurrency_key,
    ATTEMPTS.c.concurrency_slot,
    unique=True,
    sqlite_where=_HOLDS_KEY,
    postgresql_where=_HOLDS_KEY,
)
_HOLDS_RATE = sa.text("rate_slot IS NOT NULL")
sa.Index(
    "ux_task_attempts_rate_slot",
    ATTEMPTS.c.rate_key,
    ATTEMPTS.c.rate_slot,
    unique=True,
    sqlite_where=_HOLDS_RATE,
    postgresql_where=_HOLDS_RATE,
)

TASK_LOGS: Final = sa.Table(
    "task_logs",
    METADATA,
    # not an attempt that is stored: a guest may report before its owner has recorded it
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), primary_key=True),
    sa.Column("task_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("source"),
    _number("level"),
    _text("logger"),
    _text("text"),
    sqlite_with_rowid=False,
)

EVENTS: Final = sa.Table(
    "execution_events",
    METADATA,
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    _number("task_number", null=True),
    _text("kind"),
    _text("at"),
    _text("detail", null=True),
    _text("trace_context", null=True),
    sqlite_with_rowid=False,
)

OFFERS: Final = sa.Table(
    "attempt_offers",
    METADATA,
    sa.Column("execution_id", sa.Text, sa.ForeignKey(EXECUTIONS.c.id), primary_key=True),
    sa.Column("task_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    _text("offered_by"),
    _number("epoch"),
    _text("tenant"),
    _text("package"),
    _text("package_digest", null=True),
    _text("workflow"),
    _text("workflow_version"),
    _text("task"),
    _number("is_async"),
    _number("priority"),
    _number("timeout_ms", null=True),
    _text("context"),
    _text("created_at"),
    _text("claimed_by", null=True),
    _text("token", null=True),
    _text("claimed_at", null=True),
    _text("stop_asked_at", null=True),
    _text("outcome", null=True),
    _text("finished_at", null=True),
)
