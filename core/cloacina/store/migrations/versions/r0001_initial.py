"""The first schema: runners, graphs, executions, tasks, attempts, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UNFINISHED = sa.text("status NOT IN ('Completed', 'Failed', 'Cancelled')")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=null)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "runners",
        _text("id"),
        _text("host"),
        _number("process_id"),
        _text("started_at"),
        sa.PrimaryKeyConstraint("id", name="pk_runners"),
    )
    op.create_table(
        "graphs",
        _text("digest"),
        _text("document"),
        sa.PrimaryKeyConstraint("digest", name="pk_graphs"),
    )
    _create_executions()
    _create_tasks()
    _create_attempts()
    _create_events()


def _create_executions() -> None:
    op.create_table(
        "workflow_executions",
        _text("id"),
        _text("tenant"),
        _text("package"),
        _text("package_digest", null=True),
        _text("workflow"),
        _text("workflow_version"),
        _text("graph_digest"),
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
        sa.PrimaryKeyConstraint("id", name="pk_workflow_executions"),
        sa.ForeignKeyConstraint(
            ["graph_digest"], ["graphs.digest"], name="fk_workflow_executions_graph_digest"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_workflow_executions_created_at", "workflow_executions", ["created_at"])
    op.create_index(
        "ix_workflow_executions_unfinished",
        "workflow_executions",
        ["owner"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )


def _create_tasks() -> None:
    op.create_table(
        "task_executions",
        _text("execution_id"),
        _number("number"),
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
        sa.PrimaryKeyConstraint("execution_id", "number", name="pk_task_executions"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_task_executions_execution_id"
        ),
        sqlite_with_rowid=False,
    )


def _create_attempts() -> None:
    op.create_table(
        "task_attempts",
        _text("execution_id"),
        _number("task_number"),
        _number("number"),
        _text("token"),
        _text("runner"),
        _text("started_at"),
        _text("finished_at", null=True),
        _text("outcome", null=True),
        _text("error_type", null=True),
        _text("error_message", null=True),
        _text("traceback", null=True),
        sa.PrimaryKeyConstraint("execution_id", "task_number", "number", name="pk_task_attempts"),
        sa.ForeignKeyConstraint(
            ["execution_id", "task_number"],
            ["task_executions.execution_id", "task_executions.number"],
            name="fk_task_attempts_execution_id_task_number",
        ),
        sqlite_with_rowid=False,
    )


def _create_events() -> None:
    op.create_table(
        "execution_events",
        _text("execution_id"),
        _number("seq"),
        _number("task_number", null=True),
        _text("kind"),
        _text("at"),
        _text("detail", null=True),
        _text("trace_context", null=True),
        sa.PrimaryKeyConstraint("execution_id", "seq", name="pk_execution_events"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_execution_events_execution_id"
        ),
        sqlite_with_rowid=False,
    )
