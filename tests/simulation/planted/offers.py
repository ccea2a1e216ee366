"""Faults in attempts that run on other runners."""

from dataclasses import replace
from typing import cast

from cloacina.planner import away
from cloacina.planner.effects import Effect
from cloacina.planner.events import Now
from cloacina.planner.guests import OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.planner.progress import Progress
from cloacina.store.batch import Batch
from simulation import memory_offers
from simulation.memory_offers import MemoryOffers
from simulation.memory_tables import Draft
from simulation.memory_writer import SimulatedLink
from simulation.planted.fault import Patch, Planted


def _claimed_twice(patch: Patch) -> None:
    def open_offers(self: MemoryOffers, runner_id: str) -> list[OpenOffer]:
        return [memory_offers._open(row) for row in self._rows() if row.offered_by != runner_id]

    patch.setattr(MemoryOffers, "open_offers", open_offers)


def _lost_guests_awaited(patch: Patch) -> None:
    original = away.see

    def see(progress: Progress, seen: SeenOffer, now: Now) -> list[Effect]:
        return original(progress, replace(seen, is_runner_alive=True), now)

    patch.setattr(away, "see", see)


def _taken_back_unasked(patch: Patch) -> None:
    def remove_offers(self: SimulatedLink, drafts: dict[str, Draft], batch: Batch) -> None:
        for kind in ("offer_withdrawals", "offer_settlements"):
            for row in batch.rows[kind]:
                offers = self._tables.draft(drafts, str(row[0])).offers
                offers.pop(cast("tuple[int, int]", row[1:3]), None)

    patch.setattr(SimulatedLink, "_remove_offers", remove_offers)


PLANTED = {
    "an offer that two runners claim": Planted(
        _claimed_twice, "is not what .* claimed|made Offer|was reported twice"
    ),
    "a lost guest that is waited for": Planted(_lost_guests_awaited, "never ended"),
    "an offer taken back from its claimer": Planted(
        _taken_back_unasked, "nothing is on record|before that was durable"
    ),
}
