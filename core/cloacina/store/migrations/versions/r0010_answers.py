"""What a command asks beyond its kind, and what its answer says beyond its kind."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("commands", sa.Column("argument", sa.Text(), nullable=True))
    op.add_column("commands", sa.Column("detail", sa.Text(), nullable=True))
