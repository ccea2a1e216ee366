"""Why an execution is being stopped, and the inbox of commands."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OPEN = sa.text("answered_at IS NULL")


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("workflow_executions", sa.Column("stopping", sa.Text(), nullable=True))
    op.create_table(
        "commands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("wish", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_commands_execution_id"
        ),
    )
    op.create_index(
        "ix_commands_open",
        "commands",
        ["execution_id"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
