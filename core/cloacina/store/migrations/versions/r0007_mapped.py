"""The elements of mapped tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; no task of an earlier revision has elements."""
    for name in ("elements", "first_element", "parent", "item"):
        op.add_column("task_executions", sa.Column(name, sa.Integer(), nullable=True))
