"""The other runners, as a simulated one sees them: who is dead, what is free, whom to wake.

In place of OS locks and bells the world knows who holds its lock, and a bell rings after a random
delay. A runner that lost its lock while it lives registers again before it claims anything.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cloacina.errors import StoreUnavailableError
from cloacina.kernel.requests import LookAround
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.store.direct import Settled
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

    def settle(self, request: Requested, now: Now, *, is_new: bool) -> Settled:
        runner, world = self._runner, self._runner.world
        runner.point("before it settles a wish")
        self._read("settle a wish")
        settled = world.database.settle(request, runner.id, now, is_new=is_new)
        what = f"{request.wish} {request.execution_id} ({request.command_id})"
        if settled.verdict is None:
            runner.log(f"leaves {what} to its owner")
        else:
            runner.log(f"settles {what}: {settled.verdict.answer}")
        world.monitor.observe(world.now_us, runner, None, seized=request.execution_id)
        if settled.verdict is not None or is_new:
            world.ring(runner)
        runner.point("after it settled a wish")
        return settled

    def retry(self, execution_id: str, at_us: int, *, from_failed: bool) -> ExecutionState:
        runner, world = self._runner, self._runner.world
        runner.point("before it retries")
        self._read("retry")
        execution = world.database.retry(execution_id, runner.id, at_us, from_failed=from_failed)
        runner.log(
            f"retries {execution_id} {'from what failed' if from_failed else 'from scratch'}"
        )
        world.monitor.observe(
            world.now_us, runner, None, seized=execution_id, from_failed=from_failed
        )
        world.ring(runner)
        runner.point("after it retried")
        return execution

    def commands(self) -> Sequence[Requested]:
        self._read("look for commands")
        return self._runner.world.database.open_commands(self._runner.id)

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        self._read("look for answers")
        return self._runner.world.database.answers(command_ids)

    def tell_of_answers(self) -> None:
        self._runner.point("before it tells of answers")
        self._runner.log("has obeyed")
        self._runner.world.ring(self._runner)

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
        return found.is_stopping or found.identity.workflow in self._runner.known
