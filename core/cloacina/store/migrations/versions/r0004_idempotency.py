"""The key under which a second submission finds the first."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_HAS_KEY = sa.text("idempotency_key IS NOT NULL")


def upgrade() -> None:
    """Add the column, and the index that lets at most one execution have a key."""
    op.add_column("workflow_executions", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.create_index(
        "ux_workflow_executions_idempotency_key",
        "workflow_executions",
        ["tenant", "package", "workflow", "idempotency_key"],
        unique=True,
        sqlite_where=_HAS_KEY,
        postgresql_where=_HAS_KEY,
    )
