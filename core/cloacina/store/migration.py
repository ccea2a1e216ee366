"""Change a stored execution to another version of its workflow, in one transaction.

Not to be confused with the migrations of the schema, which lie in ``store/migrations``.
"""

from collections.abc import Callable

import sqlalchemy as sa

from cloacina.model.states import Answer
from cloacina.planner.events import Identity, Now, Requested, Verdict
from cloacina.planner.moves.migrate import Target, migrated, obstacles
from cloacina.store import commands, direct, reader
from cloacina.store.batch import Batch
from cloacina.store.direct import Settled
from cloacina.store.offers import remove_open_offers
from cloacina.store.renumber import renumber
from cloacina.store.rows.execution import GraphRow
from cloacina.store.tables import EXECUTIONS

FindTarget = Callable[[Identity, str | None], Target | None]
"""Returns a version of an execution's workflow, or the one for new executions, if it is here."""

_SHOWN = 20


def migrate(
    connection: sa.Connection,
    request: Requested,
    by: str,
    find_target: FindTarget,
    now: Now,
    *,
    is_new: bool,
) -> Settled:
    """Do or refuse what is asked of an execution that the runner ``by`` owns, or nobody.

    If another runner owns it, a new request is left in that one's inbox, and an old one as it is.

    Raises:
        ExecutionNotFoundError: if there is no such execution.
        ValueError: if what is stored of it cannot be read.
    """
    found = direct.lock(connection, request.execution_id)
    verdict: Verdict | None = Verdict(Answer.ENDED)
    settled = Settled(verdict)
    if not found.has_ended:
        if not found.is_free and found.owner != by:
            if is_new:
                commands.leave(connection, request, now.utc_us)
            return Settled(None)
        may_be_known_elsewhere = found.is_free and not is_new
        settled = _change(connection, request, by, find_target, now)
        if settled.verdict is None and may_be_known_elsewhere:
            return settled
    verdict = settled.verdict or _unknown(request)
    commands.close(connection, request.command_id or "", verdict, now.utc_us)
    return Settled(verdict, settled.ended)


def _change(
    connection: sa.Connection, request: Requested, by: str, find_target: FindTarget, now: Now
) -> Settled:
    """Change a locked execution; there is no verdict if the version is not known here."""
    stored = direct.load(connection, request.execution_id)
    target = find_target(stored.identity, request.argument)
    if target is None:
        return Settled(None)
    identity = stored.identity
    if (identity.workflow_version, identity.package_digest) == (
        target.version,
        target.package_digest,
    ):
        return Settled(Verdict(Answer.UNCHANGED))
    problems = obstacles(stored, target)
    if problems:
        return Settled(Verdict(Answer.REFUSED, _joined(problems)))
    direct.seize(connection, request.execution_id, by)
    remove_open_offers(connection, request.execution_id)
    changed = migrated(reader.load(connection, request.execution_id), target, now.utc_us)
    renumber(connection, request.execution_id, changed.moved, changed.removed)
    batch = Batch.of([changed.execution], by, ())
    graph = target.topology
    batch.rows["graphs"].append(GraphRow(graph.digest, graph.document))
    direct.write(connection, batch)
    connection.execute(
        sa.update(EXECUTIONS)
        .where(EXECUTIONS.c.id == request.execution_id)
        .values(
            workflow_version=target.version,
            package_digest=target.package_digest,
            graph_digest=graph.digest,
        )
    )
    direct.let_go(connection, changed.execution)
    is_over = changed.execution.status.is_final
    return Settled(Verdict(Answer.GRANTED), changed.execution if is_over else None)


def _unknown(request: Requested) -> Verdict:
    which = f"version {request.argument[:100]!r}" if request.argument else "no version"
    return Verdict(
        Answer.REFUSED,
        f"{which} of its workflow is registered in the runner that was to migrate it; register "
        "the workflow there, or load the package, first",
    )


def _joined(problems: list[str]) -> str:
    more = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
