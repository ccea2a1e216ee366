"""What ``FileNeighbours`` and ``LeaseNeighbours`` do, told once more on the model of the database.

That they decide the same is shown by the logs of the same seeds on the real databases.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from cloacina.errors import EvictedError, StoreUnavailableError
from cloacina.ownership.offering import Look, Sight
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store.direct import Settled
from cloacina.store.migration import FindTarget
from cloacina.store.offers import Accepts as AcceptsOffer

if TYPE_CHECKING:
    from simulation.memory import SimulatedDatabase
    from simulation.runner import SimulatedRunner


class MemoryNeighbours(ABC):
    """What is the same however runners show that they live."""

    def __init__(self, database: "SimulatedDatabase", runner: "SimulatedRunner") -> None:
        self._database = database
        self._runner = runner
        self._gate = runner.gate
        self._bell = runner.bell
        self._peer_slots = 0
        self.join_again()

    def join(self, at_us: int, notice: Callable[[], None], *, slots: int) -> None:
        raise NotImplementedError  # a runner has joined when it is made

    @abstractmethod
    def take_over(self) -> Sequence[StoredExecution]: ...

    @abstractmethod
    def join_again(self) -> None: ...

    def finished(self, execution_id: str) -> StoredExecution | None:
        self._gate.before_read()
        ended = self._database.has_ended(execution_id)
        return self._database.load(execution_id) if ended else None

    def taken(self, question: Question) -> Taken:
        self._gate.before_read()
        return self._database.taken(question)

    def settle(self, request: Requested, now: Now, *, is_new: bool) -> Settled:
        with self._gate.transaction():
            settled = self._database.settle(request, self._runner.id, now, is_new=is_new)
        if settled.verdict is not None or is_new:
            self._bell.ring()
        return settled

    def migrate(
        self, request: Requested, find_target: FindTarget, now: Now, *, is_new: bool
    ) -> Settled:
        raise NotImplementedError  # workflows have one version here

    def retry(self, execution_id: str, at_us: int, *, from_failed: bool) -> ExecutionState:
        with self._gate.transaction():
            execution = self._database.retry(
                execution_id, self._runner.id, at_us, from_failed=from_failed
            )
        self._bell.ring()
        return execution

    def commands(self) -> Sequence[Requested]:
        self._gate.before_read()
        return self._database.open_commands(self._runner.id)

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        self._gate.before_read()
        return self._database.answers(command_ids)

    def tell_of_answers(self) -> None:
        self._bell.ring()

    def ask_for_ends(self) -> None:
        self._bell.ask_for_ends()

    def tell_of_ends(self) -> None:
        self._bell.tell_of_ends()

    def when_changed(self, on_change: Callable[[], None]) -> None:
        raise NotImplementedError  # nobody follows here

    def ask_for_changes(self) -> None:
        raise NotImplementedError  # likewise

    def tell_of_changes(self) -> None:
        self._bell.tell_of_changes()

    def see_offers(self, look: Look) -> Sight:
        offers, me = self._database.offers, self._runner.id
        may_claim = look.may_claim and self._peer_slots > 0
        if not (look.has_own or look.has_guests or may_claim):
            return Sight(peer_slots=self._peer_slots)
        self._gate.before_read()
        return Sight(
            peer_slots=self._peer_slots,
            own=offers.claimed_from(me) if look.has_own else (),
            guests=offers.guests(me) if look.has_guests else {},
            open=tuple(offers.open_offers(me)) if may_claim else (),
        )

    def claim_offers(
        self, accepts: AcceptsOffer, new_token: Callable[[], str], known: Collection[str]
    ) -> Sequence[ClaimedOffer]:
        runner, offers = self._runner, self._database.offers
        with self._gate.transaction():
            if runner.id not in self._database.runner_ids():
                raise EvictedError(runner.id)
            now_us = runner.now().utc_us
            claimed = offers.claim(runner.id, accepts, new_token, known, now_us)
        if claimed:
            self._bell.ring()
        return claimed

    def report_guests(self, reports: Sequence[GuestReport]) -> None:
        with self._gate.transaction():
            self._database.offers.report(reports, self._runner.now().utc_us)
        self._bell.ring()

    def tell_of_offers(self) -> None:
        self._bell.ring()

    def leave(self) -> None:
        with suppress(StoreUnavailableError), self._gate.transaction():
            self._database.release([self._runner.id])
        self._bell.ring()


class LockedNeighbours(MemoryNeighbours):
    """Whose lock is gone is dead."""

    _is_waiting = False

    def ask_for_ends(self) -> None:
        self._is_waiting = True
        super().ask_for_ends()

    def join_again(self) -> None:
        if self._is_waiting:  # the bell is a new one
            self._bell.ask_for_ends()
        with self._gate.transaction():
            self._database.release([self._runner.id])  # it may have added executions meanwhile
            self._database.register(self._runner.id, self._runner.slots)

    def take_over(self) -> Sequence[StoredExecution]:
        database, runner = self._database, self._runner
        self._gate.before_read()
        peers = database.runner_ids()
        if runner.id not in peers:
            raise EvictedError(runner.id)
        dead = sorted(peers & database.silent - {runner.id} - database.held)
        self._peer_slots = database.slots(peers - {runner.id, *dead})
        if not dead and not any(map(runner.accepts, database.unowned())):
            return ()
        locks = set(dead) - database.robbed
        database.held |= locks
        try:
            with self._gate.transaction():
                database.release(dead)
                claimed = database.claim(runner.id, runner.accepts)
                loaded = [database.load_claimed(execution_id) for execution_id in claimed]
        finally:
            database.held -= locks
        if dead:
            self._bell.ring()
        return loaded


class LeasedNeighbours(MemoryNeighbours):
    """Whose lease ran out is evicted; a claim whose answer was lost is looked for again."""

    def __init__(self, database: "SimulatedDatabase", runner: "SimulatedRunner") -> None:
        self._in_doubt: list[str] = []
        super().__init__(database, runner)

    def join_again(self) -> None:
        self._in_doubt = []
        with self._gate.transaction():
            self._database.register(self._runner.id, self._runner.slots)

    def take_over(self) -> Sequence[StoredExecution]:
        database, runner = self._database, self._runner
        self._gate.before_read()
        peers = database.runner_ids()
        if runner.id not in peers:
            raise EvictedError(runner.id)
        overdue = peers & database.silent - {runner.id}
        self._peer_slots = database.slots(peers - {runner.id} - overdue)
        free = database.unowned()
        if not (overdue or self._in_doubt or any(map(runner.accepts, free))):
            return ()
        with self._gate.transaction():
            peers = database.runner_ids()
            if runner.id not in peers:
                raise EvictedError(runner.id)
            evicted = sorted(peers & database.silent - {runner.id})
            database.release(evicted)
            claimed = database.owned(runner.id, self._in_doubt)
            claimed += database.claim(runner.id, runner.accepts)
            loaded = [database.load_claimed(execution_id) for execution_id in claimed]
            self._in_doubt = claimed
        self._in_doubt = []
        if evicted:
            self._bell.ring()
        return loaded
