"""The other runners, as a simulated one sees them: who is dead, what is free, whom to wake.

In place of OS locks and bells the world knows who holds its lock, and a bell rings after a random
delay. A runner that lost its lock while it lives registers again before it claims anything.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cloacina.errors import StoreUnavailableError
from cloacina.kernel.requests import LookAround
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import StoredExecution
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

    def taken(self, question: Question) -> Taken:
        self._runner.point("before it reads who has slots")
        self._read("read who has slots")
        return self._runner.world.database.taken(question)

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
            database.register(runner.id, runner.now().utc_us)
            runner.was_struck_out = True
        runner.has_lock = True
        runner.log("has its lock again")

    def _accepts(self, found: Unowned) -> bool:
        return found.identity.workflow in self._runner.known
