"""The simulated world: one clock, an agenda, the runners, and what goes wrong.

Everything that happens is an entry of the agenda, taken in the order of its moment. Whoever stands
still in the middle of an entry lets the world go on without it (``pass_time``).
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random

from cloacina.model.topology import Topology
from simulation import bodies
from simulation.log import Log, require
from simulation.monitor import Monitor
from simulation.people import People
from simulation.runner import Host, SimulatedRunner
from simulation.scenario import FAULTS_END_US, NO_FAULTS, Liveness, Mishap, Scenario
from simulation.scripts import SECOND, check_memory
from simulation.shared import Shared
from simulation.snapshot import FINAL
from simulation.speech import check_logs

DAY = 86_400 * SECOND
MOST_ENTRIES = 50_000
LONGEST_END_US = 3_600 * SECOND
"""Within that time after the last fault everything must have ended, whatever clocks were set to."""


class World:
    """Runs one scenario on one database."""

    def __init__(
        self, plan: Scenario, liveness: Liveness, database: Shared, dice: Random, log: Log
    ) -> None:
        self.now_us = 0
        self.dice = dice
        self.database = database
        self.log = log
        self.monitor = Monitor(self, plan.workflows)
        self.faults = plan.faults
        self.are_faults_on = True
        self.refused: set[str] = set()
        self.outage_ends_us = 0
        self.liveness = liveness
        # a file is shared on one machine only
        self.hosts = [Host() for _ in range(1 if liveness is Liveness.LOCKS else plan.hosts)]
        self.registered: set[str] = set()
        self.is_talkative = len(plan.orders) % 3 == 0
        """Whether bodies say something while they run."""
        self._plan = plan
        self._topologies = tuple(map(Topology.of, plan.workflows))
        self.topologies = {each.workflow.name: each for each in self._topologies}
        self._natures = {
            workflow.name: {
                task.id: nature for task, nature in zip(workflow.tasks, natures, strict=True)
            }
            for workflow, natures in zip(plan.workflows, plan.natures, strict=True)
        }
        self._scripts = {
            workflow.name: {
                task.id: script for task, script in zip(workflow.tasks, scripts, strict=True)
            }
            for workflow, scripts in zip(plan.workflows, plan.scripts, strict=True)
        }
        self._agenda: list[tuple[int, int, int, Callable[[], object]]] = []
        """When, in which order of what comes at once, a number, and what."""
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
        for at_us, name in self._plan.events:
            self.after(at_us, partial(self.people.send, name))
        for at_us in self._plan.retries:
            self.after(at_us, self.people.retry)
        self.after(FAULTS_END_US, self._make_peace)
        while self._agenda:
            self._take_entry()
        self._check_end()

    def after(self, wait_us: int, action: Callable[[], object]) -> None:
        """Enter something into the agenda."""
        self._entries += 1
        lot = self.dice.getrandbits(4)
        heappush(self._agenda, (self.now_us + wait_us, lot, self._entries, action))

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

    def tell_of_death(self, silent: SimulatedRunner) -> None:
        """Have the others look: at once where locks fall, later where leases run out."""
        if self.liveness is Liveness.LOCKS:
            self.ring(silent)
            return
        for runner in self._runners.values():
            if runner is not silent:
                self.after(self.dice.randrange(20 * SECOND), runner.neighbours.look)

    def note_runners(self, writer: SimulatedRunner) -> None:
        """Notice who joined and who was struck out by a transaction of ``writer``."""
        now = self.database.runner_ids()
        if now == self.registered:
            return
        gone = sorted(self.registered - now)
        if gone:
            writer.log(f"strikes out {gone}")
        for runner_id in gone:
            struck_out = self._runners[runner_id]
            struck_out.is_struck_out = True
            if self.liveness is Liveness.LOCKS:  # whoever buries it rings its bell
                self.after(self.dice.choice((0, 1_000, SECOND)), struck_out.neighbours.look)
        for runner_id in now - self.registered:
            if runner_id in self._runners:  # it is back
                self._runners[runner_id].is_struck_out = False
                self._runners[runner_id].is_silent = False
        self.registered = now

    def begin_body(
        self, runner: SimulatedRunner, order: bodies.Order, *, is_guest: bool
    ) -> bodies.Body:
        """Start a body."""
        nature = self._natures[order.workflow][order.task.id]
        script = self._scripts[order.workflow][order.task.id]
        body = bodies.begun(order, runner.id, nature, script, self.dice)
        self.monitor.body_starts(order.token, body, order.memory, is_guest=is_guest)
        if order.memory is not None:
            check_memory(script, order.memory)
        verb = "hosts" if is_guest else "runs"
        runner.log(f"{verb} {order.execution_id} task {order.task_number} attempt {order.attempt}")
        return body

    def _take_entry(self) -> None:
        at_us, _, _, action = heappop(self._agenda)
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
        if not self.are_faults_on:
            return
        if mishap is Mishap.JOIN:
            self._join(self.dice.choice((1, 2, 8)))
            return
        if mishap is Mishap.OUTAGE:
            duration_us = self.dice.choice((SECOND, 30 * SECOND))
            self.outage_ends_us = self.now_us + duration_us
            self.log.add(self.now_us, "world", "the database cannot be used")
            if self.dice.random() < 0.5:  # somebody loses patience
                self.after(self.dice.randrange(duration_us), partial(self._strike, Mishap.LEAVE))
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
            case Mishap.FALL_SILENT:
                runner.fall_silent()
            case Mishap.CLOCK_JUMP:
                host = runner.host
                jump_us = self.dice.choice((-DAY, DAY, -SECOND, 3_600 * SECOND))
                host.offsets_us.append(host.wall_offset_us + jump_us)
                runner.log(f"has its clock set to {host.wall_offset_us / SECOND:+}")
            case Mishap.LEARN:
                runner.known = {workflow.name for workflow in self._plan.workflows}
                runner.log("learns every workflow")
                runner.neighbours.look()

    def _make_peace(self) -> None:
        """End all faults; from now on there is a runner that knows every workflow."""
        self.log.add(self.now_us, "world", "no more faults")
        self.faults, self.are_faults_on = NO_FAULTS, False
        self.outage_ends_us = 0
        self.people.resume_all(20)
        self.people.send_to_all(60)
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
        for token, body in self.monitor.bodies.items():
            is_over = body.is_reported or not self._runners[body.runner_id].is_alive
            require(is_over, f"the body of {token} hangs")
        self.people.check_answers()
        check_logs(self.monitor.snapshots, self.monitor.bodies)


def new_dice(seed: int) -> Random:
    """Return the one source of chance of a simulation."""
    return Random(seed)  # noqa: S311 - a choice, not a secret
