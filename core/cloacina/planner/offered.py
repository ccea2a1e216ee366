"""Attempts on offer to other runners, as data: what is offered, what became of it, what is unsaved.

An offer is a row of its own. Its execution's owner makes it and removes it; in between one runner
may claim it under a token of its own, and report under that token how the attempt ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure


@dataclass(frozen=True, slots=True)
class Offering:
    """An attempt to be offered."""

    task_number: int
    attempt: int
    texts: Mapping[str, str]
    """The merged context that the body sees: key -> JSON text."""
    at_us: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """The removal of an offer whose attempt has been settled."""

    task_number: int
    attempt: int
    token: str
    is_reported: bool
    """Whether its runner has reported the end; otherwise the body may still run there."""


@dataclass(frozen=True, slots=True)
class StopWish:
    """A request that an attempt which runs elsewhere should end."""

    task_number: int
    attempt: int
    token: str
    at_us: int


@dataclass(slots=True)
class OfferChanges:
    """What happened to the offers of one execution since its last commit."""

    made: dict[tuple[int, int], Offering] = field(default_factory=dict)
    """By task number and attempt."""
    withdrawn: dict[tuple[int, int], None] = field(default_factory=dict)
    """Stored offers, to be removed if nobody has claimed them."""
    settled: list[Settlement] = field(default_factory=list)
    stops: list[StopWish] = field(default_factory=list)

    def make(self, offering: Offering) -> None:
        """Offer an attempt, or leave an offer standing that was to be withdrawn."""
        key = offering.task_number, offering.attempt
        if key in self.withdrawn:
            del self.withdrawn[key]
        else:
            self.made[key] = offering

    def withdraw(self, task_number: int, attempt: int) -> None:
        """Take an offer back, whether it is stored yet or not."""
        if self.made.pop((task_number, attempt), None) is None:
            self.withdrawn[task_number, attempt] = None

    @property
    def concern_others(self) -> bool:
        """Whether another runner has something to do about them."""
        return bool(self.made or self.stops or not all(each.is_reported for each in self.settled))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOffer:
    """An offer of this runner as the database holds it.

    Attributes:
        runner: who claimed it; ``None`` while nobody did.
        token: the claimer's.
        claimed_at_us: when.
        result: how the attempt ended, once its runner has reported that.
        is_runner_alive: whether the claimer is still registered.
    """

    execution_id: str
    task_number: int
    attempt: int
    runner: str | None = None
    token: str | None = None
    claimed_at_us: int | None = None
    result: Changes | TaskFailure | None = None
    is_runner_alive: bool = False

    def began_at_us(self, now_us: int) -> int:
        """Return when the attempt began, as far as clocks agree: its claim is the record of that."""
        return now_us if self.claimed_at_us is None else min(now_us, self.claimed_at_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersSeen:
    """This runner looked at what became of its offers, and who is there to take them.

    Attributes:
        peer_slots: how many attempts the other runners may run at once, all together.
        offers: what somebody claimed.
    """

    peer_slots: int
    offers: tuple[SeenOffer, ...]
