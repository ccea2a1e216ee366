"""The ends of a simulated kernel: its thread, its clocks, its executor and its plugins.

Every call that leaves the kernel passes a point at which the process can be cut off.
"""

import contextvars
from functools import partial
from typing import TYPE_CHECKING

from cloacina.kernel.clock import Clock
from cloacina.kernel.observe import Observer
from cloacina.planner.effects import AttemptSettled, StartAttempt, StopAttempt
from cloacina.planner.events import AttemptEnded, Now
from cloacina.planner.execution import ExecutionState
from simulation import speech
from simulation.bodies import Body
from simulation.scenario import SECOND

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class NoThread:
    """The world calls the kernel's turns itself."""

    def start(self) -> None: ...
    def join(self) -> None: ...


class SimulatedClock(Clock):
    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner

    def now(self) -> Now:
        return self._runner.now()

    def pause(self, seconds: float) -> None:
        self._runner.world.pass_time(round(seconds * SECOND))
        self._runner.point("while it waits for the database")


class SimulatedExecutor:
    """Runs bodies by the world's clock; they vanish with their runner."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner
        self.variables: dict[str, contextvars.Context] = {}

    def stop(self, effect: StopAttempt) -> None:
        """Make a body end: some end when they are asked, some when they are killed, some never."""
        runner = self._runner
        runner.point("before a body is stopped")
        body = runner.world.monitor.bodies.get(effect.token)
        if body is not None and body.yields_to(is_kill=effect.is_kill):
            runner.log(f"stops {body.execution_id} task {body.task_number}")
            runner.world.after(1_000, partial(self._report, body, effect.token))

    def start(self, effect: StartAttempt) -> None:
        runner = self._runner
        runner.point("before a body starts")
        body = runner.world.begin_body(runner, effect)

        runner.begin(effect.token)
        runner.kernel.logbook.open(effect.token, effect.execution.id, effect.task_number)
        if speech.speaks(body):
            runner.world.after(body.duration_us // 2, partial(self._speak, body, effect.token))
        runner.world.after(body.duration_us, partial(self._report, body, effect.token))
        runner.point("after a body started")

    def _speak(self, body: Body, token: str) -> None:
        runner = self._runner
        if runner.is_alive and not body.is_reported:
            body.has_spoken = True
            runner.kernel.logbook.write(token, speech.words(token))
            runner.nudge()

    def _report(self, body: Body, token: str) -> None:
        runner = self._runner
        if body.is_reported or not runner.is_alive:
            return
        if body.is_deadly and runner.world.are_faults_on:
            runner.die("of a body")
            return
        body.is_reported = True
        runner.send(
            AttemptEnded(
                execution_id=body.execution_id,
                task_number=body.task_number,
                token=token,
                result=body.result,
            )
        )


class Witness(Observer):
    """Stands where plugins are called, which are points at which a process can end, too."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner

    def attempt_started(self, effect: StartAttempt) -> None:
        self._runner.point(f"before the start of {effect.execution.id}")

    def attempt_settled(self, effect: AttemptSettled) -> None:
        self._runner.point(f"after an attempt of {effect.execution.id}")

    def execution_ended(self, execution: ExecutionState) -> None:
        self._runner.log(f"ends {execution.id} as {execution.status}")
        self._runner.point("after an end")
