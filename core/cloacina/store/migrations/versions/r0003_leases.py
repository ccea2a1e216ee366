"""Leases of runners, and the batch that each committed last."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; nobody has a lease yet."""
    op.add_column("runners", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runners", sa.Column("last_batch", sa.Text(), nullable=True))
