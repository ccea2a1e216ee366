"""Find the execution that an idempotency key stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloacina.planner.events import Identity
from cloacina.store.tables import EXECUTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The execution that was the first to be submitted under a key."""

    execution_id: str
    input: str
    """Its input, as the text of one JSON object."""


def find_earlier(
    connection: sa.Connection, identity: Identity, options: Mapping[str, Any] | None = None
) -> Earlier | None:
    """Return the execution that has the key of ``identity`` already, if there is one.

    Keys belong to one workflow of one package of one tenant. ``options`` are for this statement.
    """
    columns = EXECUTIONS.c
    query = sa.select(columns.id, columns.input).where(
        columns.tenant == identity.tenant,
        columns.package == identity.package,
        columns.workflow == identity.workflow,
        columns.idempotency_key == identity.idempotency_key,
    )
    row = connection.execute(query, execution_options=options).first()
    return None if row is None else Earlier(execution_id=row[0], input=row[1])
