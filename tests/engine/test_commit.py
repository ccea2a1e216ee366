"""What becomes of changes that there is no time left to write."""

from collections.abc import Sequence
from typing import cast

from cloacina.errors import RunnerClosedError, StoreUnavailableError
from cloacina.kernel.clock import Clock
from cloacina.kernel.commit import Committer
from cloacina.kernel.meter import Meter
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.store.contract import Written
from engine.graphs import World, a_task, a_workflow


class StandingClock(Clock):
    def now(self) -> Now:
        return Now(10, 10)

    def pause(self, seconds: float) -> None:
        raise AssertionError("there is no time left")


class ContendedWriter:
    """Finds that others hold what every execution wants."""

    def commit(self, executions: Sequence[ExecutionState]) -> Written:
        return Written(contended=list(executions))

    def abandon(self) -> None: ...
    def close(self) -> None: ...


class AbsentNeighbours:
    def taken(self, question: object) -> object:
        raise StoreUnavailableError("away")


def test_slots_of_what_was_contended_and_given_up_come_back() -> None:
    world = World(slots=1)
    event = world.submission(a_workflow(a_task("a")))
    effects = world.planner.step(event, world.now)
    assert world.planner.slots.free_slots == 0
    committer = Committer(
        planner=world.planner,
        writer=ContendedWriter(),
        neighbours=cast("Neighbours", AbsentNeighbours()),
        clock=StandingClock(),
        meter=Meter(),
    )
    committer.give_up_at(0)
    committed = committer.commit(effects)
    assert isinstance(committed.gone["e"], RunnerClosedError)
    assert committed.due == []
    assert world.planner.slots.free_slots == 1
