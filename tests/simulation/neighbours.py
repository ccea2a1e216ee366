"""The other runners, as a simulated one sees them: who is dead, what is free, whom to wake.

In place of OS locks and bells the world knows who holds its lock, and a bell rings after a random
delay. A runner that lost its lock while it lives registers again before it claims anything.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from cloacina.errors import StoreUnavailableError
from cloacina.kernel.requests import LookAround
from cloacina.ownership.offering import Look, Sight
from cloacina.planner.events import StoredExecution
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.store.commands import Command
from cloacina.store.ownership import Unowned
from simulation.snapshot import FINAL

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class SimulatedNeighbours:
    """Stands in for ``Neighbours``, with the same decisions about when to write what."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner

    def look(self) -> None:
        """Have the runner look around."""
        self._runner.send(LookAround())

    def take_over(self) -> Sequence[StoredExecution]:
        runner, world = self._runner, self._runner.world
        runner.point("before it takes over")
        self._read("look around")
        database = world.database
        if not runner.has_lock:
            self._register_again()
        dead = [peer for peer in database.runner_ids() if not world.holds_lock(peer)]
        if not dead and not any(map(self._accepts, database.unowned())):
            return ()
        claimed = database.take_over(runner.id, dead, self._accepts)
        names = [stored.identity.execution_id for stored in claimed]
        runner.log(f"strikes out {dead}, claims {names}")
        world.monitor.observe(world.now_us, runner, None)
        if dead:
            world.ring(runner)
        runner.point("after it took over")
        return claimed

    def finished(self, execution_id: str) -> StoredExecution | None:
        self._read("look for an end")
        stored = self._runner.world.database.load(execution_id)
        return stored if stored.status in FINAL else None

    def commands(self, is_ours: Callable[[str], bool]) -> Sequence[Command]:
        self._read("look for commands")
        found = self._runner.world.database.open_commands()
        return [command for command in found if is_ours(command.execution_id)]

    def answer(self, command_ids: Sequence[str]) -> None:
        runner, world = self._runner, self._runner.world
        runner.point("before it answers commands")
        self._read("answer commands")
        world.database.close_commands(command_ids)
        runner.log(f"has obeyed {list(command_ids)}")

    def ask_for_ends(self) -> None:
        self._runner.world.ask_for_ends(self._runner)

    def tell_of_ends(self) -> None:
        self._runner.point("before it tells of ends")
        self._runner.world.tell_of_ends(self._runner)

    def see_offers(self, look: Look) -> Sight:
        self._read("look at offers")
        runner, database = self._runner, self._runner.world.database
        return Sight(
            peer_slots=database.slots_of_peers(runner.id),
            own=database.offers.claimed_from(runner.id) if look.has_own else (),
            guests=database.offers.guests(runner.id) if look.has_guests else {},
            open=tuple(database.offers.open_offers(runner.id)) if look.may_claim else (),
        )

    def claim_offers(
        self,
        accepts: Callable[[OpenOffer], bool],
        new_token: Callable[[], str],
        known: Collection[str],
    ) -> Sequence[ClaimedOffer]:
        runner, world = self._runner, self._runner.world
        runner.point("before it claims offers")
        self._read("claim offers")
        if not runner.has_lock:
            self._register_again()
        now_us = runner.now().utc_us
        claimed = world.database.offers.claim(runner.id, accepts, new_token, known, now_us)
        for each in claimed:
            place = f"{each.offer.identity.execution_id} task {each.offer.task_number}"
            runner.log(f"claims the offer of {place}")
        world.monitor.observe_guest(world.now_us, runner)
        runner.point("after it claimed offers")
        self._read("hear of its claims")
        if claimed:
            world.ring(runner)
        return claimed

    def report_guests(self, reports: Sequence[GuestReport]) -> None:
        runner, world = self._runner, self._runner.world
        runner.point("before it reports guests")
        self._read("report guests")
        world.database.offers.report(reports, runner.now().utc_us)
        for report in reports:
            runner.log(f"reports the guest {report.execution_id} task {report.task_number}")
        world.monitor.observe_guest(world.now_us, runner)
        runner.point("after it reported guests")
        self._read("hear of its report")
        world.ring(runner)

    def tell_of_offers(self) -> None:
        self._runner.point("before it tells of offers")
        self._runner.world.ring(self._runner)

    def leave(self) -> None:
        world = self._runner.world
        world.database.release([self._runner.id])
        world.monitor.observe(world.now_us, self._runner, None)

    def _read(self, purpose: str) -> None:
        """Use the database, which may be unavailable."""
        world = self._runner.world
        if world.faults.unavailable and world.dice.random() < world.faults.unavailable:
            self._runner.log(f"cannot {purpose}")
            raise StoreUnavailableError("the database could not be used")

    def _register_again(self) -> None:
        runner, database = self._runner, self._runner.world.database
        if runner.id not in database.runner_ids():
            database.register(runner.id, runner.now().utc_us, runner.slots)
            runner.was_struck_out = True
        runner.has_lock = True
        runner.log("has its lock again")

    def _accepts(self, found: Unowned) -> bool:
        return found.identity.workflow in self._runner.known
