"""Attempts that runners offer to each other, and how many slots a runner has."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEY = ("execution_id", "task_number", "attempt")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=null)


def upgrade() -> None:
    """Add the table and the column; runners of an earlier version are offered nothing."""
    op.add_column("runners", _number("slots", null=True))
    op.create_table(
        "attempt_offers",
        _text("execution_id"),
        _number("task_number"),
        _number("attempt"),
        _text("offered_by"),
        _number("epoch"),
        _text("tenant"),
        _text("package"),
        _text("package_digest", null=True),
        _text("workflow"),
        _text("workflow_version"),
        _text("task"),
        _number("is_async"),
        _number("priority"),
        _number("timeout_ms", null=True),
        _text("context"),
        _text("created_at"),
        _text("claimed_by", null=True),
        _text("token", null=True),
        _text("claimed_at", null=True),
        _text("stop_asked_at", null=True),
        _text("outcome", null=True),
        _text("finished_at", null=True),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_attempt_offers"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["workflow_executions.id"], name="fk_attempt_offers_execution_id"
        ),
    )
