"""What attempts hold of concurrency keys and rates."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_HOLDS_KEY = sa.text("finished_at IS NULL AND concurrency_slot IS NOT NULL")
_HOLDS_RATE = sa.text("rate_slot IS NOT NULL")


def upgrade() -> None:
    """Add the columns, and the indexes that give each slot to one attempt."""
    op.add_column("task_attempts", sa.Column("concurrency_key", sa.Text(), nullable=True))
    op.add_column("task_attempts", sa.Column("concurrency_slot", sa.Integer(), nullable=True))
    op.add_column("task_attempts", sa.Column("rate_key", sa.Text(), nullable=True))
    op.add_column("task_attempts", sa.Column("rate_slot", sa.BigInteger(), nullable=True))
    op.create_index(
        "ux_task_attempts_key_slot",
        "task_attempts",
        ["concurrency_key", "concurrency_slot"],
        unique=True,
        sqlite_where=_HOLDS_KEY,
        postgresql_where=_HOLDS_KEY,
    )
    op.create_index(
        "ux_task_attempts_rate_slot",
        "task_attempts",
        ["rate_key", "rate_slot"],
        unique=True,
        sqlite_where=_HOLDS_RATE,
        postgresql_where=_HOLDS_RATE,
    )
