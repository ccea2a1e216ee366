"""Rows of offers: attempts that any runner may claim."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import moment, object_text


class NewOffer(NamedTuple):
    """An attempt on offer to any runner, with all that its body needs."""

    execution_id: str
    task_number: int
    attempt: int
    offered_by: str
    epoch: int
    tenant: str
    package: str
    package_digest: str | None
    workflow: str
    workflow_version: str
    task: str
    priority: int
    context: str
    created_at: str


class OfferWithdrawal(NamedTuple):
    """The removal of an offer, if nobody has claimed it."""

    execution_id: str
    task_number: int
    attempt: int


class OfferStop(NamedTuple):
    """A request to whoever claimed an offer to end the attempt."""

    stop_asked_at: str
    execution_id: str
    task_number: int
    attempt: int
    token: str


class OfferSettlement(NamedTuple):
    """The removal of an offer whose attempt has an end on record."""

    execution_id: str
    task_number: int
    attempt: int
    token: str


def new_offers(execution: ExecutionState, owner: str) -> list[NewOffer]:
    """Return the offers that were made."""
    if execution.unsaved.offers is None:
        return []
    identity = execution.identity
    tasks = execution.topology.tasks
    return [
        NewOffer(
            execution.id,
            offering.task_number,
            offering.attempt,
            owner,
            execution.epoch,
            identity.tenant,
            identity.package,
            identity.package_digest,
            identity.workflow,
            identity.workflow_version,
            tasks[offering.task_number].id,
            identity.priority,
            object_text(offering.texts),
            moment(offering.at_us),
        )
        for offering in execution.unsaved.offers.made.values()
    ]


def offer_withdrawals(execution: ExecutionState) -> list[OfferWithdrawal]:
    """Return the offers that are taken back."""
    changes = execution.unsaved.offers
    return [] if changes is None else [OfferWithdrawal(execution.id, *k) for k in changes.withdrawn]


def offer_stops(execution: ExecutionState) -> list[OfferStop]:
    """Return what is asked of attempts that run elsewhere."""
    changes = execution.unsaved.offers
    return [
        OfferStop(moment(s.at_us), execution.id, s.task_number, s.attempt, s.token)
        for s in (changes.stops if changes else ())
    ]


def offer_settlements(execution: ExecutionState) -> list[OfferSettlement]:
    """Return the offers whose attempts ended."""
    changes = execution.unsaved.offers
    return [
        OfferSettlement(execution.id, s.task_number, s.attempt, s.token)
        for s in (changes.settled if changes else ())
    ]
