"""Who plans which execution: runners, claims, releases. Every call runs in the caller's transaction.

An execution that is not final has at most one owner. A claim raises its epoch, so that whatever an
earlier owner still writes finds nothing to change.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloacina.model.topology import Topology
from cloacina.planner.events import Identity
from cloacina.store.graphs import parse_graph
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES, GRAPHS, RUNNERS
from cloacina.store.timestamps import to_text

_LOG = logging.getLogger("cloacina")
_UNFINISHED = EXECUTIONS.c.status.not_in(
    [sa.literal(status, literal_execute=True) for status in FINAL_STATUSES]
)


@dataclass(frozen=True, slots=True)
class Unowned:
    """An execution that no runner plans."""

    identity: Identity
    topology: Topology


def register(
    connection: sa.Connection, runner_id: str, host: str, process_id: int, at_us: int
) -> None:
    """Make a runner known to the others."""
    row = {
        "id": runner_id,
        "host": host,
        "process_id": process_id,
        "started_at": to_text(at_us),
    }
    connection.execute(sa.insert(RUNNERS), row)


def runner_ids(connection: sa.Connection) -> list[str]:
    """Return every runner that registered and was neither released nor found dead."""
    return list(connection.execute(sa.select(RUNNERS.c.id)).scalars().all())


def release(connection: sa.Connection, gone: Iterable[str]) -> None:
    """Remove runners, and leave what they owned for others."""
    names = list(gone)
    if names:
        connection.execute(sa.delete(RUNNERS).where(RUNNERS.c.id.in_(names)))
    connection.execute(
        sa.update(EXECUTIONS)
        .where(
            EXECUTIONS.c.owner.is_not(None),
            EXECUTIONS.c.owner.not_in(sa.select(RUNNERS.c.id)),
            _UNFINISHED,
        )
        .values(owner=None)
    )


def unowned(connection: sa.Connection) -> list[Unowned]:
    """Return the unfinished executions that no registered runner plans, oldest first."""
    columns = EXECUTIONS.c
    # a runner that was struck out by mistake, and goes on, can still add executions
    is_free = columns.owner.is_(None) | columns.owner.not_in(sa.select(RUNNERS.c.id))
    query = (
        sa.select(
            columns.id.label("execution_id"),
            columns.tenant,
            columns.package,
            columns.package_digest,
            columns.workflow,
            columns.workflow_version,
            columns.priority,
            GRAPHS.c.document,
        )
        .join(GRAPHS, GRAPHS.c.digest == columns.graph_digest)
        .where(is_free, _UNFINISHED)
        .order_by(columns.id)
    )
    found = (_unowned(**row) for row in connection.execute(query).mappings().all())
    return [execution for execution in found if execution is not None]


def _unowned(document: str, **identity: Any) -> Unowned | None:
    try:
        return Unowned(Identity(**identity), parse_graph(document))
    except ValueError as error:  # one damaged row must not keep the others from going on
        _LOG.error("the graph of execution %s cannot be read: %s", identity["execution_id"], error)
        return None


def claim(
    connection: sa.Connection, runner_id: str, accepts: Callable[[Unowned], bool]
) -> Sequence[str]:
    """Become the owner of every unowned execution that ``accepts`` says yes to; return their ids.

    What runners that are gone hold must have been released before.
    """
    claimed = [found.identity.execution_id for found in unowned(connection) if accepts(found)]
    if claimed:
        connection.execute(
            sa.update(EXECUTIONS)
            .where(EXECUTIONS.c.id == sa.bindparam("wanted"), EXECUTIONS.c.owner.is_(None))
            .values(owner=runner_id, epoch=EXECUTIONS.c.epoch + 1),
            [{"wanted": execution_id} for execution_id in claimed],
        )
    return claimed
