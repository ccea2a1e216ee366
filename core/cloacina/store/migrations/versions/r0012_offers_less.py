"""Offers say no more of a task what whoever claims them knows: its limit and its kind."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Drop two columns that nobody reads, one of which is too narrow for long limits."""
    with op.batch_alter_table("attempt_offers") as table:
        table.drop_column("is_async")
        table.drop_column("timeout_ms")
