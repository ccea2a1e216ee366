"""What a runner does about offers, its own and those of others, in the same way everywhere."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cloacina.errors import EvictedError
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.store import offers, ownership
from cloacina.store.contract import Database
from cloacina.store.offers import Accepts


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What to look at.

    Attributes:
        has_own: whether offers of this runner's executions are open or claimed.
        has_guests: whether claims of this runner are not settled, as far as it knows.
        may_claim: whether it claims offers of others.
    """

    has_own: bool
    has_guests: bool
    may_claim: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look at the offers found.

    Attributes:
        peer_slots: how many attempts the other runners may run at once.
        own: offers of this runner's executions that somebody claimed.
        guests: token -> whether to stop it, of every claim of this runner that has no end yet.
        open: what others offer.
    """

    peer_slots: int
    own: tuple[SeenOffer, ...] = ()
    guests: Mapping[str, bool] = field(default_factory=dict)
    open: tuple[OpenOffer, ...] = ()


class Offering:
    """Reads and writes offers on behalf of one runner."""

    def __init__(self, database: Database, runner_id: str, clock_us: Callable[[], int]) -> None:
        """Be known as ``runner_id``; ``clock_us`` reads the wall clock."""
        self._database = database
        self._runner_id = runner_id
        self._clock_us = clock_us

    def see(self, peer_slots: int, look: Look) -> Sight:
        """Look at offers: at those of which there may be any.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """
        may_claim = look.may_claim and peer_slots > 0  # the offers of the dead are withdrawn
        if not (look.has_own or look.has_guests or may_claim):
            return Sight(peer_slots=peer_slots)
        me = self._runner_id
        with self._database.read() as connection:
            return Sight(
                peer_slots=peer_slots,
                own=offers.claimed_from(connection, me) if look.has_own else (),
                guests=offers.guests(connection, me) if look.has_guests else {},
                open=tuple(offers.open_offers(connection, me)) if may_claim else (),
            )

    def claim(
        self, accepts: Accepts, new_token: Callable[[], str], known: Collection[str]
    ) -> Sequence[ClaimedOffer]:
        """Claim what ``accepts`` says yes to, in order; return it with what was claimed unawares.

        Args:
            accepts: asked once about each offer; what it says yes to is claimed, unless another
                runner is faster.
            new_token: makes a token for each claim.
            known: the tokens of earlier claims that this runner knows of.

        Raises:
            EvictedError: the others hold this runner for dead; nothing was claimed.
            StoreUnavailableError: nothing is known to be claimed.
        """
        me = self._runner_id
        with self._database.write() as connection:
            if not ownership.hold(connection, me):
                raise EvictedError(me)
            claimed = offers.claims_in_doubt(connection, me, known)
            now_us = self._clock_us()
            for offer in offers.open_offers(connection, me):
                if accepts(offer):
                    taken = offers.claim(connection, me, new_token(), offer, now_us)
                    claimed += [] if taken is None else [taken]
        return claimed

    def report(self, reports: Sequence[GuestReport]) -> None:
        """Tell owners how attempts ended; what is not expected any more changes nothing.

        Raises:
            StoreUnavailableError: nothing was written; the same may succeed later.
            EngineError: the database refuses something of it, and nothing was written.
        """
        with self._database.write() as connection:
            now_us = self._clock_us()
            for each in reports:
                offers.report(connection, each, now_us)
