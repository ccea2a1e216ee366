"""Who plans which execution: runners, claims, releases. Every call runs in the caller's transaction.

An execution that is not final has at most one owner. A claim raises its epoch, so that whatever an
earlier owner still writes finds nothing to change.

Where runners have leases, a runner's row is locked by each of its commits and by whoever evicts it,
so that one of the two comes wholly before the other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from cloacina.log import Logger
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity
from cloacina.store import limits
from cloacina.store.graphs import parse_graph
from cloacina.store.identity import identity_of
from cloacina.store.tables import EXECUTIONS, FINAL_STATUSES, GRAPHS, RUNNERS
from cloacina.store.timestamps import to_text

_LOG = Logger("cloacina")
_AT_ONCE: Final = 500
"""How many ids one statement names."""

_UNFINISHED = EXECUTIONS.c.status.not_in(
    [sa.literal(status, literal_execute=True) for status in FINAL_STATUSES]
)

# a runner that was struck out by mistake, and goes on, can still add executions
_IS_FREE = EXECUTIONS.c.owner.is_(None) | EXECUTIONS.c.owner.not_in(sa.select(RUNNERS.c.id))


def is_free() -> sa.ColumnElement[bool]:
    """Return the condition that no registered runner plans an execution."""
    return _IS_FREE


def has_ended() -> sa.ColumnElement[bool]:
    """Return the condition that an execution is final."""
    return sa.not_(_UNFINISHED)


@dataclass(frozen=True, slots=True)
class Unowned:
    """An execution that no runner plans."""

    identity: Identity
    topology: Topology
    epoch: int
    """0 if no runner ever had it."""
    is_stopping: bool = False
    """Nothing of it will start any more, so that any runner can bring it to its end."""


_IS_OVERDUE: Final = sa.or_(RUNNERS.c.lease_until.is_(None), RUNNERS.c.lease_until < sa.func.now())

RENEW: Final = (
    sa.update(RUNNERS)
    .values(lease_until=sa.func.now() + sa.bindparam("lease", type_=sa.Interval))
    .where(RUNNERS.c.id == sa.bindparam("id", type_=sa.Text))
)
"""Prolongs a runner's lease by the database's clock; hits nothing once the others took it away."""


def register(
    connection: sa.Connection,
    runner_id: str,
    at_us: int,
    *,
    host: str,
    process_id: int,
    slots: int,
    lease: timedelta | None = None,
) -> None:
    """Make a runner known to the others, with a lease where leases say who lives."""
    row = sa.insert(RUNNERS).values(
        id=runner_id, host=host, process_id=process_id, started_at=to_text(at_us), slots=slots
    )
    if lease is not None:
        row = row.values(lease_until=sa.func.now() + lease)
    connection.execute(row)


def runner_ids(connection: sa.Connection) -> list[str]:
    """Return every runner that registered and was neither released nor found dead."""
    return list(connection.execute(sa.select(RUNNERS.c.id)).scalars().all())


def slots(connection: sa.Connection) -> dict[str, int]:
    """Return how many attempts each registered runner may run at once."""
    query = sa.select(RUNNERS.c.id, RUNNERS.c.slots)
    return {runner_id: count or 0 for runner_id, count in connection.execute(query).all()}


@dataclass(frozen=True, slots=True)
class Lease:
    """What one runner's row says."""

    is_overdue: bool
    slots: int


def leases(connection: sa.Connection) -> dict[str, Lease]:
    """Return the lease of each runner."""
    query = sa.select(RUNNERS.c.id, _IS_OVERDUE, RUNNERS.c.slots)
    rows = connection.execute(query).all()
    return {runner_id: Lease(bool(overdue), count or 0) for runner_id, overdue, count in rows}


def hold(connection: sa.Connection, runner_id: str) -> bool:
    """Keep a runner from being evicted while this transaction lasts; ``False`` if it was already.

    A transaction of the same runner whose answer was lost has ended when this returns.
    """
    query = sa.select(RUNNERS.c.id).where(RUNNERS.c.id == runner_id).with_for_update(key_share=True)
    return connection.execute(query).first() is not None


def evict(connection: sa.Connection, *, but: str) -> list[str]:
    """Remove the runners whose lease ran out and that are not just writing; return their ids."""
    overdue = (
        sa.select(RUNNERS.c.id)
        .where(_IS_OVERDUE, RUNNERS.c.id != but)
        .with_for_update(skip_locked=True)
    )
    gone = list(connection.execute(overdue).scalars())
    release(connection, gone)
    return gone


def release(connection: sa.Connection, gone: Iterable[str]) -> None:
    """Remove runners, and leave what they owned for others."""
    names = list(gone)
    if names:
        connection.execute(sa.delete(RUNNERS).where(RUNNERS.c.id.in_(names)))
        connection.execute(
            sa.update(EXECUTIONS)
            .where(EXECUTIONS.c.owner.in_(names), _UNFINISHED)
            .values(owner=None)
        )
        limits.give_back(connection, names)


def unowned(connection: sa.Connection) -> list[Unowned]:
    """Return the unfinished executions that no registered runner plans, oldest first."""
    columns = EXECUTIONS.c
    query = (
        sa.select(
            columns.id,
            columns.tenant,
            columns.package,
            columns.package_digest,
            columns.workflow,
            columns.workflow_version,
            columns.priority,
            columns.epoch,
            columns.stopping,
            GRAPHS.c.document,
        )
        .join(GRAPHS, GRAPHS.c.digest == columns.graph_digest)
        .where(_IS_FREE, _UNFINISHED)
        .order_by(columns.id)
    )
    found = (_unowned(row) for row in connection.execute(query).mappings().all())
    return [execution for execution in found if execution is not None]


def _unowned(row: sa.RowMapping) -> Unowned | None:
    try:
        topology = parse_graph(row["document"])
    except ValueError as error:  # one damaged row must not keep the others from going on
        _LOG.error("the graph of execution %s cannot be read: %s", row["id"], error)
        return None
    return Unowned(identity_of(row, row["id"]), topology, row["epoch"], row["stopping"] is not None)


def claim(
    connection: sa.Connection, runner_id: str, accepts: Callable[[Unowned], bool]
) -> list[str]:
    """Become the owner of every unowned execution that ``accepts`` says yes to; return their ids.

    What another runner is claiming at this moment is left to it.
    """
    wanted = [found.identity.execution_id for found in unowned(connection) if accepts(found)]
    claimed: list[str] = []
    for begin in range(0, len(wanted), _AT_ONCE):
        some = _free_among(wanted[begin : begin + _AT_ONCE])
        locking = some.with_for_update(skip_locked=True, of=EXECUTIONS)
        locked = connection.execute(locking).scalars().all()
        # that statement does not know who joined since it began, and may see what they claimed
        claimed += connection.execute(_free_among(locked)).scalars()
    if claimed:
        connection.execute(
            sa.update(EXECUTIONS)
            .where(EXECUTIONS.c.id == sa.bindparam("wanted"))
            .values(owner=runner_id, epoch=EXECUTIONS.c.epoch + 1),
            [{"wanted": execution_id} for execution_id in claimed],
        )
        limits.give_back_of(connection, claimed)
    return claimed


def _free_among(execution_ids: Sequence[str]) -> sa.Select[str]:
    return (
        sa.select(EXECUTIONS.c.id)
        .where(EXECUTIONS.c.id.in_(execution_ids), _IS_FREE, _UNFINISHED)
        .order_by(EXECUTIONS.c.id)
    )


def owned(connection: sa.Connection, runner_id: str, among: Iterable[str]) -> list[str]:
    """Return those of ``among`` that the runner owns and that have not ended, oldest first."""
    query = (
        sa.select(EXECUTIONS.c.id)
        .where(EXECUTIONS.c.owner == runner_id, _UNFINISHED)
        .order_by(EXECUTIONS.c.id)
    )
    wanted = set(among)
    return [found for found in connection.execute(query).scalars() if found in wanted]
