"""What attempts printed and logged."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "task_logs",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("task_number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("logger", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "execution_id", "task_number", "attempt", "seq", name="pk_task_logs"
        ),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_task_logs_execution_id"
        ),
        sqlite_with_rowid=False,
    )
