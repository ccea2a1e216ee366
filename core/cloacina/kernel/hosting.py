"""Run attempts of other runners' executions in slots that are free, and look after own offers.

Offers are looked for when somebody rings, and again when a slot comes free while offers are known
to wait: an idle runner asks the database nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from cloacina.errors import EngineError, EvictedError, StoreUnavailableError
from cloacina.kernel.clock import Clock
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.lookout import Lookout
from cloacina.log import Logger
from cloacina.ownership.neighbours import Neighbours
from cloacina.ownership.offering import Look
from cloacina.planner.deferral import cannot_wait
from cloacina.planner.effects import Effect
from cloacina.planner.events import AttemptEnded, SaidLine
from cloacina.planner.guests import ClaimedOffer, GuestReport, Guests, OpenOffer
from cloacina.planner.offered import OffersSeen
from cloacina.planner.planner import Planner
from cloacina.planner.queue.pools import Pool
from cloacina_sdk.attempt import ExecutionResult
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.waiting import Wait

_LOG = Logger("cloacina")


class Hosting:
    """The kernel's dealings with offers. Belongs to its thread."""

    def __init__(
        self,
        *,
        planner: Planner,
        neighbours: Neighbours,
        lookout: Lookout,
        clock: Clock,
    ) -> None:
        """Host in the slots of ``planner``."""
        self._planner = planner
        self._neighbours = neighbours
        self._lookout = lookout
        self._clock = clock
        self._guests = Guests()
        self._peer_slots = 0
        self._waiting: dict[str, Pool] = {}
        """The pools, by name, for which others offer something."""
        self._is_in_doubt = False
        """Whether there may be claims that this runner does not know of: an answer was lost."""

    @property
    def is_busy(self) -> bool:
        """Whether a guest runs, or its owner has not been told of its end."""
        return self._guests.is_any

    def look(self, dispatcher: Dispatcher, *, is_closing: bool) -> list[Effect]:
        """See what became of own offers and of guests, and what others offer."""
        try:
            sight = self._neighbours.see_offers(
                Look(
                    has_own=self._planner.has_offers,
                    has_guests=self._guests.is_any or self._is_in_doubt,
                    may_claim=not is_closing,
                )
            )
        except EngineError as error:
            self._lookout.survive(error, "offers")
            return []
        for stop in self._guests.compare(sight.guests):
            dispatcher.cancel(stop.token, is_kill=stop.is_kill)
        self._is_in_doubt &= bool(sight.guests.keys() - set(self._guests.tokens))
        pools = (self._pool_of(dispatcher, offer) for offer in sight.open)
        self._waiting = {pool.name: pool for pool in pools if pool is not None}
        if sight.peer_slots == self._peer_slots and not sight.own:
            return []
        self._peer_slots = sight.peer_slots
        seen = OffersSeen(peer_slots=sight.peer_slots, offers=sight.own)
        return self._planner.step(seen, self._clock.now())

    def end(self, ended: AttemptEnded, *, is_told: bool, lines: tuple[SaidLine, ...] = ()) -> None:
        """Take the end of an attempt that may be a guest's, and what it said."""
        result = ended.result
        if isinstance(result, Wait):  # what takes a handle is not offered
            result = cannot_wait(result)
        self._guests.end(ended.token, result, is_told=is_told, lines=lines)

    def settle(self, gone: Collection[str]) -> None:
        """Take note of a commit that wrote everything but the executions ``gone``."""
        self._guests.settle(gone)

    def report(self) -> bool:
        """Tell owners of ends; return whether this runner may be one of them."""
        reports = self._guests.reports
        if not reports or self._lookout.next_due_us is not None:
            return False
        try:
            try:
                self._neighbours.report_guests(reports)
            except StoreUnavailableError:
                raise
            except EngineError:
                for report in reports:
                    self._report_alone(report)
        except EngineError as error:
            self._lookout.survive(error, "who is to hear of the ends of attempts")
            return False
        for report in reports:
            self._guests.reported(report)
        return any(self._planner.owns(report.execution_id) for report in reports)

    def claim(self, dispatcher: Dispatcher) -> None:
        """Claim and begin as much of what waits as there is room for.

        Raises:
            EvictedError: the other runners hold this one for dead.
        """
        schedule = self._planner.slots
        has_room = any(map(schedule.room_in, self._waiting.values()))
        if not has_room and not (self._is_in_doubt and schedule.free_slots):
            return
        promised: list[str] = []
        self._waiting, self._is_in_doubt = {}, False

        def accepts(offer: OpenOffer) -> bool:
            pool = self._pool_of(dispatcher, offer)
            if pool is None:
                return False
            if not schedule.room_in(pool):
                self._waiting[pool.name] = pool
                return False
            promised.append(f"promised {len(promised)}")
            schedule.lend(promised[-1], pool)
            return True

        claimed: Sequence[ClaimedOffer] = ()
        try:
            claimed = self._neighbours.claim_offers(
                accepts, schedule.new_token, self._guests.tokens
            )
        except EvictedError:
            self._is_in_doubt = True  # an earlier answer may have been lost: its claims still stand
            raise
        except EngineError as error:
            self._lookout.survive(error, "offers to claim")
            self._is_in_doubt = True
        finally:
            for token in promised:
                schedule.give_back(token)
        for each in claimed:
            self._begin(dispatcher, each)

    def _begin(self, dispatcher: Dispatcher, claimed: ClaimedOffer) -> None:
        task = dispatcher.known(claimed.offer)
        if task is None:
            self._guests.admit(claimed)
            gone = LookupError(f"the body of {claimed.offer.task} is not registered any more")
            self._guests.end(claimed.token, failure_of(gone), is_told=False)
            return
        pool = self._planner.slots.pool_for(claimed.offer.identity, task)
        if not self._planner.slots.room_in(pool):  # an earlier claim whose answer was lost
            self._waiting[pool.name] = pool
            self._is_in_doubt = True
            return
        self._planner.slots.lend(claimed.token, pool)
        self._guests.admit(claimed)
        dispatcher.start_guest(claimed, task)

    def _pool_of(self, dispatcher: Dispatcher, offer: OpenOffer) -> Pool | None:
        """Return the pool in which an offer would run here, if it can."""
        task = dispatcher.known(offer)
        return None if task is None else self._planner.slots.pool_for(offer.identity, task)

    def _report_alone(self, report: GuestReport) -> None:
        """Report one end; if the database refuses it, report that."""
        try:
            self._neighbours.report_guests([report])
        except StoreUnavailableError:
            raise
        except EngineError as refusal:
            _LOG.error("an attempt of execution %s: %s", report.execution_id, refusal)
            failed = ExecutionResult.failed(report.result.token, failure_of(refusal))
            self._neighbours.report_guests([replace(report, result=failed)])
