"""Indexes by which what belongs to an execution, and the executions of a graph, are found."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("ix_workflow_executions_graph_digest", "workflow_executions", ["graph_digest"])
    op.create_index("ix_commands_execution_id", "commands", ["execution_id"])
