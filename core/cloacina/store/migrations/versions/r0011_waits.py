"""What tasks wait for, the events that are sent to executions, and the time that does not count."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns, and create the table."""
    op.add_column("task_executions", sa.Column("waits", sa.Text(), nullable=True))
    op.add_column("task_executions", sa.Column("checkpoint", sa.Text(), nullable=True))
    op.add_column("workflow_executions", sa.Column("waited_us", sa.BigInteger(), nullable=True))
    op.add_column("workflow_executions", sa.Column("waits_since", sa.Text(), nullable=True))
    op.create_table(
        "sent_events",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "seq", name="pk_sent_events"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_sent_events_execution_id"
        ),
        sqlite_with_rowid=False,
    )
