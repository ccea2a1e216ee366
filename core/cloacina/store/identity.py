"""What an execution is a run of, as several tables hold it."""

import sqlalchemy as sa

from cloacina.planner.events import Identity


def identity_of(row: sa.RowMapping, execution_id: str, key: str | None = None) -> Identity:
    """Return the identity that a row holds, of an execution with the idempotency key ``key``."""
    return Identity(
        execution_id=execution_id,
        tenant=row["tenant"],
        package=row["package"],
        package_digest=row["package_digest"],
        workflow=row["workflow"],
        workflow_version=row["workflow_version"],
        priority=row["priority"],
        idempotency_key=key,
    )
