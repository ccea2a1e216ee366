"""What must hold of offers: of every change that an owner or a claimer makes, and of idle slots."""

from collections.abc import Iterable

from cloacina.planner.planner import Planner
from simulation.log import require
from simulation.snapshot import FINAL, AttemptRow, OfferRow, Snapshot


def check_owner(before: Snapshot | None, after: Snapshot, writer: str) -> None:
    """Judge what an owner's commit did to the offers of an execution."""
    known = {offer[:3]: offer for offer in before.offers} if before else {}
    attempts = {(a.execution_id, a.task_number, a.number): a for a in after.attempts}
    for offer in after.offers:
        was = known.pop(offer[:3], None)
        if was is None:
            require(offer.claimed_by is None, f"{offer} was claimed before it was made")
            right = offer.offered_by, offer.epoch
            require(right == (writer, after.execution.epoch), f"{offer} is another owner's")
        else:
            stopped = was._replace(stop_asked_at=offer.stop_asked_at)
            require(offer == stopped, f"{was} was changed by its owner to {offer}")
        _check_task(after, offer, attempts.get(offer[:3]))
    for offer in known.values():
        attempt = attempts.get(offer[:3])
        if offer.token is not None:
            is_settled = attempt is not None and attempt.token == offer.token
            require(is_settled, f"{offer} was claimed, and nothing is on record")
            require(attempt is None or attempt.outcome, f"{offer} is gone, and goes on")
    offered = {(offer.task_number, offer.attempt) for offer in after.offers}
    for task in after.tasks:
        if task.sub_status == "Offered":
            require((task.number, task.attempt + 1) in offered, f"{task.task} is not on offer")


def _check_task(after: Snapshot, offer: OfferRow, attempt: AttemptRow | None) -> None:
    task = after.tasks[offer.task_number]
    if attempt is None:
        is_next = task.sub_status == "Offered" and task.attempt + 1 == offer.attempt
        require(task.status == "Ready" and is_next, f"{offer} is of {task}")
        require(
            offer.token is not None or after.execution.status == "Running",
            f"{offer} is open, but its execution is {after.execution.status}",
        )
    else:
        is_running = attempt.outcome is None and task.status == "Running"
        require(is_running, f"{offer} is left, but its attempt ended")
        right = attempt.token, attempt.runner
        require(right == (offer.token, offer.claimed_by), f"{attempt} is not by the claimer")


def check_guest(before: Snapshot, after: Snapshot, writer: str, tokens: set[str]) -> None:
    """Judge what a runner did to the offers of an execution by claiming or reporting."""
    require(before[:4] == after[:4], f"{writer} changed more than offers")
    require(len(before.offers) == len(after.offers), f"{writer} made or removed offers")
    for was, now in zip(before.offers, after.offers, strict=True):
        if was == now:
            continue
        require(now.claimed_by == writer, f"{now} is not what {writer} claimed")
        if was.claimed_by is None:
            claim = was._replace(claimed_by=writer, token=now.token, claimed_at=now.claimed_at)
            require(now == claim, f"{writer} made {now} of {was}")
            require(now.token and now.token not in tokens, f"the token of {now} was used before")
            tokens.add(str(now.token))
        else:
            require(was.outcome is None, f"{was} was reported twice")
            told = was._replace(outcome=now.outcome, finished_at=now.finished_at)
            require(now == told and now.outcome, f"{writer} made {now} of {was}")


def is_claimed(before: Snapshot | None, attempt: AttemptRow) -> bool:
    """Whether an attempt that is now on record was claimed by its runner before."""
    if before is None:
        return False
    claim = attempt.task_number, attempt.number, attempt.token, attempt.runner
    return any(
        (offer.task_number, offer.attempt, offer.token, offer.claimed_by) == claim
        for offer in before.offers
    )


def check_idle(runner_id: str, planner: Planner, snapshots: Iterable[Snapshot]) -> None:
    """Nothing is left on offer by an owner that has a free slot for it."""
    if not planner.slots.free_slots:
        return
    for snapshot in snapshots:
        row = snapshot.execution
        if row.owner == runner_id and row.status == "Running" and row.status not in FINAL:
            idle = [offer for offer in snapshot.offers if offer.claimed_by is None]
            require(not idle, f"{idle} waits although slots of {runner_id} are free")
