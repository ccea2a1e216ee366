"""The simulated world: one clock, an agenda, the runners, and what goes wrong.

Everything that happens is an entry of the agenda, taken in the order of its moment. Whoever stands
still in the middle of an entry lets the world go on without it (``pass_time``).
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random

from cloacina.model.topology import Topology
from cloacina.planner.effects import StartAttempt
from simulation import bodies, scenario
from simulation.invariants import require
from simulation.log import Log
from simulation.monitor import Monitor
from simulation.people import People
from simulation.runner import SimulatedRunner
from simulation.scenario import FAULTS_END_US, NO_FAULTS, SECOND, Mishap, Scenario
from simulation.shared import Shared
from simulation.snapshot import FINAL

DAY = 86_400 * SECOND
MOST_ENTRIES = 50_000
LONGEST_END_US = 10 * DAY
"""Within that time after the last fault everything must have ended.

A retry that is claimed waits by the wall clock, which may have been set back by days meanwhile.
"""


class World:
    """Runs one scenario on one database."""

    def __init__(self, plan: Scenario, database: Shared, dice: Random, log: Log) -> None:
        self.now_us = 0
        self.dice = dice
        self.database = database
        self.log = log
        self.monitor = Monitor(database, log, plan.workflows)
        self.faults = plan.faults
        self.are_faults_on = True
        self.refused: set[str] = set()
        self._plan = plan
        self._topologies = tuple(map(Topology.of, plan.workflows))
        self._natures = {
            workflow.name: natures
            for workflow, natures in zip(plan.workflows, plan.natures, strict=True)
        }
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._entries = 0
        self._runners: dict[str, SimulatedRunner] = {}
        self._asked = False
        self.failure: Exception | None = None
        """What was raised where somebody swallows it, as a future does with its callbacks."""
        self.people = People(self)

    def run(self) -> None:
        """Run to the end.

        Raises:
            ViolationError: if an invariant does not hold.
        """
        for slots in self._plan.slots:
            self._join(slots)
        for number, order in enumerate(self._plan.orders, 1):
            topology = self._topologies[order.workflow]
            submit = partial(self.people.submit, f"e{number}", topology, order)
            self.after(order.at_us, submit)
        for at_us, mishap in self._plan.mishaps:
            self.after(at_us, partial(self._strike, mishap))
        for number, (at_us, wish) in enumerate(self._plan.wishes, 1):
            self.after(at_us, partial(self.people.ask, f"c{number}", wish))
        self.after(FAULTS_END_US, self._make_peace)
        while self._agenda:
            self._take_entry()
        self._check_end()

    def after(self, wait_us: int, action: Callable[[], object]) -> None:
        """Enter something into the agenda."""
        self._entries += 1
        heappush(self._agenda, (self.now_us + wait_us, self._entries, action))

    def pass_time(self, duration_us: int) -> None:
        """Let the others go on while the caller stands still."""
        until_us = self.now_us + duration_us
        while self._agenda and self._agenda[0][0] <= until_us:
            self._take_entry()
        self.now_us = max(self.now_us, until_us)

    def ring(self, changed: SimulatedRunner | None) -> None:
        """Have all other runners look around, each a little later."""
        for runner in self._runners.values():
            if runner is not changed:
                self.after(self.dice.choice((0, 1_000, SECOND)), runner.neighbours.look)

    def ask_for_ends(self, asker: SimulatedRunner) -> None:
        """Wake runners when executions end from now on; what ended just now is looked for soon."""
        self._asked = True
        self.after(self.dice.choice((0, 1_000)), asker.neighbours.look)

    def tell_of_ends(self, teller: SimulatedRunner) -> None:
        """Wake the others if anybody asked for it."""
        if self._asked:
            self.ring(teller)

    def replace_dead(self) -> None:
        """Let a new runner join soon, in place of one that died, if that is how this world is."""
        if self.are_faults_on and self.dice.random() < self._plan.restarts:
            self.after(self.dice.choice((1_000, 3 * SECOND)), partial(self._join, 2))

    def holds_lock(self, runner_id: str) -> bool:
        """Whether a runner appears to be alive."""
        return self._runners[runner_id].has_lock

    def begin_body(self, runner: SimulatedRunner, start: StartAttempt) -> bodies.Body:
        """Start a body."""
        execution = start.execution
        expansion = execution.expansion_at(start.task_number)
        number = start.task_number if expansion is None else expansion.parent.number
        nature = self._natures[execution.identity.workflow][number]
        body = bodies.begun(start, runner.id, nature, self.dice)
        self.monitor.body_starts(start.token, body)
        runner.log(f"runs {execution.id} task {start.task_number} attempt {start.attempt}")
        return body

    def _take_entry(self) -> None:
        at_us, _, action = heappop(self._agenda)
        self.now_us = max(self.now_us, at_us)
        require(self._entries < MOST_ENTRIES, "it goes round in circles")
        try:
            action()
        except Exception as error:
            self.failure = self.failure or error
            raise
        if self.failure is not None:
            raise self.failure

    def _join(self, slots: int, *, is_omniscient: bool = False) -> None:
        names = [workflow.name for workflow in self._plan.workflows]
        known = {n for n in names if is_omniscient or self.dice.random() < self._plan.knowledge}
        runner_id = f"r{len(self._runners) + 1}"
        self.log.add(self.now_us, runner_id, f"joins with {slots} slots, knows {sorted(known)}")
        runner = SimulatedRunner(self, runner_id, slots, known)
        self._runners[runner_id] = runner
        self.ring(runner)

    def open_runners(self, workflow: str | None = None) -> list[SimulatedRunner]:
        """Return the runners that take requests, and know a workflow if one is given."""
        return [
            runner
            for runner in self._runners.values()
            if runner.is_alive and not runner.is_stopping
            if workflow is None or workflow in runner.known
        ]

    def _strike(self, mishap: Mishap) -> None:
        if mishap is Mishap.JOIN:
            self._join(self.dice.choice((1, 2, 8)))
            return
        runners = self.open_runners()
        if not runners:
            return
        runner = self.dice.choice(runners)
        match mishap:
            case Mishap.KILL:
                runner.die("at a moment of its own")
            case Mishap.LEAVE:
                runner.leave()
            case Mishap.LOSE_LOCK:
                runner.lose_lock()
            case Mishap.CLOCK_JUMP:
                runner.wall_offset_us += self.dice.choice((-DAY, DAY, -SECOND, 3_600 * SECOND))
                runner.log(f"has its clock set to {runner.wall_offset_us / SECOND:+}")
            case Mishap.LEARN:
                runner.known = {workflow.name for workflow in self._plan.workflows}
                runner.log("learns every workflow")
                runner.neighbours.look()

    def _make_peace(self) -> None:
        """End all faults; from now on there is a runner that knows every workflow."""
        self.log.add(self.now_us, "world", "no more faults")
        self.faults, self.are_faults_on = NO_FAULTS, False
        self.people.resume_all(20)
        names = {workflow.name for workflow in self._plan.workflows}
        is_served = any(runner.known == names for runner in self.open_runners())
        if not is_served or self.dice.random() < 0.5:  # a newcomer makes the others look around
            self._join(self.dice.choice((1, 2, 8)), is_omniscient=True)

    def _check_end(self) -> None:
        for execution_id, snapshot in self.monitor.snapshots.items():
            require(snapshot.execution.status in FINAL, f"{execution_id} never ended")
        late_us = self.monitor.last_end_us - FAULTS_END_US
        require(late_us < LONGEST_END_US, f"the last end came {late_us / SECOND:g} s late")
        for runner in self._runners.values():
            if runner.is_alive:
                lanes = runner.planner._schedule.lanes
                require(not lanes.held, f"{runner.id} did not give keys back: {lanes.held}")
                require(
                    runner.planner._schedule.free_slots == runner.slots, f"{runner.id} lacks slots"
                )
        self.people.check_answers()


def new_dice(seed: int) -> Random:
    """Return the one source of chance of a simulation."""
    return Random(seed)  # noqa: S311 - a choice, not a secret


def new_world(seed: int, database: Shared, log: Log) -> World:
    """Return the world of a seed."""
    dice = new_dice(seed)
    return World(scenario.draw(dice), database, dice, log)
