"""Offers of attempts, seen from both sides: those of a runner's own, and those that it can claim.

Every call runs in the caller's transaction. An offer is claimed by one runner, under a token that
nobody had before; its end is written under that token, once; everything else is its owner's.
"""

from collections.abc import Callable, Iterable
from typing import Final

import sqlalchemy as sa

from cloacina.log import Logger
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.store.identity import identity_of
from cloacina.store.rows.log import log_line
from cloacina.store.tables import EXECUTIONS, OFFERS, RUNNERS, TASK_LOGS
from cloacina.store.timestamps import from_text, to_text
from cloacina_sdk.attempt import ExecutionResult
from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Wait

_LOG = Logger("cloacina")
_C: Final = OFFERS.c
_KEY: Final = (_C.execution_id, _C.task_number, _C.attempt)
_IS_ALIVE: Final = _C.claimed_by.in_(sa.select(RUNNERS.c.id))


Accepts = Callable[[OpenOffer], bool]


def claimed_from(connection: sa.Connection, owner: str) -> tuple[SeenOffer, ...]:
    """Return those offers of a runner's executions that somebody claimed."""
    owned = sa.select(EXECUTIONS.c.id).where(EXECUTIONS.c.owner == owner)
    return _seen(connection, sa.and_(_C.claimed_by.is_not(None), _C.execution_id.in_(owned)))


def of_execution(connection: sa.Connection, execution_id: str) -> tuple[SeenOffer, ...]:
    """Return every offer of one execution."""
    return _seen(connection, _C.execution_id == execution_id)


def guests(connection: sa.Connection, runner_id: str) -> dict[str, bool]:
    """Return the tokens of a runner's claims that it has not reported, and which it is to stop."""
    query = sa.select(_C.token, _C.stop_asked_at.is_not(None)).where(
        _C.claimed_by == runner_id, _C.finished_at.is_(None)
    )
    return {str(token): bool(is_asked) for token, is_asked in connection.execute(query).all()}


def open_offers(connection: sa.Connection, runner_id: str) -> list[OpenOffer]:
    """Return what a runner may claim of others: the most urgent first, then the oldest."""
    query = (
        sa.select(
            *_KEY,
            *(_C.tenant, _C.package, _C.package_digest, _C.workflow, _C.workflow_version),
            *(_C.task, _C.priority),
        )
        .where(_C.claimed_by.is_(None), _C.offered_by != runner_id)
        .order_by(_C.priority.desc(), _C.created_at, *_KEY)
    )
    return [_open(row) for row in connection.execute(query).mappings().all()]


def claim(
    connection: sa.Connection, runner_id: str, token: str, offer: OpenOffer, at_us: int
) -> ClaimedOffer | None:
    """Claim an offer; ``None`` if it is gone, or another runner is claiming it."""
    query = (
        sa.select(_C.context)
        .where(_is(offer), _C.claimed_by.is_(None))
        .with_for_update(skip_locked=True)
    )
    context = connection.execute(query).scalar()
    if context is None:
        return None
    connection.execute(
        sa.update(OFFERS)
        .where(_is(offer))
        .values(claimed_by=runner_id, token=token, claimed_at=to_text(at_us))
    )
    return ClaimedOffer(offer=offer, token=token, texts=Context.from_json(context).texts())


def remove_open_offers(connection: sa.Connection, execution_id: str) -> None:
    """Remove what nobody claimed of one execution, which the caller has locked."""
    mine = _C.execution_id == execution_id
    connection.execute(sa.delete(OFFERS).where(mine, _C.claimed_by.is_(None)))


def claims_in_doubt(
    connection: sa.Connection, runner_id: str, known: Iterable[str]
) -> list[ClaimedOffer]:
    """Return the claims of a runner that it does not know of: their answers were lost.

    Nothing of them has begun.
    """
    query = (
        sa.select(OFFERS)
        .where(_C.claimed_by == runner_id, _C.finished_at.is_(None))
        .where(_C.token.not_in(list(known)))
        .order_by(*_KEY)
    )
    return [
        ClaimedOffer(
            offer=_open(row), token=row["token"], texts=Context.from_json(row["context"]).texts()
        )
        for row in connection.execute(query).mappings().all()
    ]


def report(connection: sa.Connection, guest: GuestReport, at_us: int) -> bool:
    """Write how a claimed attempt ended and what it said; ``False`` if the claim does not hold any more."""
    done = connection.execute(
        sa.update(OFFERS)
        .where(
            _C.execution_id == guest.execution_id,
            _C.task_number == guest.task_number,
            _C.attempt == guest.attempt,
            _C.token == guest.result.token,
            _C.finished_at.is_(None),
        )
        .values(outcome=guest.result.to_json(), finished_at=to_text(at_us))
    )
    if done.rowcount == 1 and guest.lines:
        key = guest.execution_id, guest.task_number, guest.attempt
        lines = [log_line(*key, line)._asdict() for line in guest.lines]
        connection.execute(sa.insert(TASK_LOGS), lines)
    return done.rowcount == 1


def _is(offer: OpenOffer) -> sa.ColumnElement[bool]:
    return sa.and_(
        _C.execution_id == offer.identity.execution_id,
        _C.task_number == offer.task_number,
        _C.attempt == offer.attempt,
    )


def _open(row: sa.RowMapping) -> OpenOffer:
    return OpenOffer(
        identity=identity_of(row, row["execution_id"]),
        task=row["task"],
        task_number=row["task_number"],
        attempt=row["attempt"],
    )


def _seen(connection: sa.Connection, which: sa.ColumnElement[bool]) -> tuple[SeenOffer, ...]:
    columns = (*_KEY, _C.claimed_by, _C.token, _C.claimed_at, _C.outcome)
    query = sa.select(*columns, _IS_ALIVE.label("is_alive")).where(which).order_by(*_KEY)
    return tuple(
        SeenOffer(
            execution_id=row["execution_id"],
            task_number=row["task_number"],
            attempt=row["attempt"],
            runner=row["claimed_by"],
            token=row["token"],
            claimed_at_us=None if row["claimed_at"] is None else from_text(row["claimed_at"]),
            result=None if row["outcome"] is None else _result(row["outcome"], row["token"]),
            is_runner_alive=bool(row["is_alive"]),
        )
        for row in connection.execute(query).mappings().all()
    )


def _result(text: str, token: str) -> Changes | TaskFailure:
    """Return what a runner reported; what cannot be read is a failure of its attempt."""
    try:
        result = ExecutionResult.from_json(text)
        if result.token != token:
            problem = "it is about another attempt"
        elif isinstance(result.outcome, Wait):
            problem = "it waits, which no attempt does that was offered"
        else:
            return result.outcome
    except ValueError as error:
        problem = str(error)
    _LOG.error("a runner reported what cannot be read: %s", problem)
    return TaskFailure(
        error_type="InvalidResult",
        message=f"the runner that claimed the attempt reported what cannot be read: {problem}",
        traceback="",
        is_transient=True,
    )
