"""The ends of a simulated kernel: its thread, its clocks, its executor and its plugins.

Every call that leaves the kernel passes a point at which the process can be cut off.
"""

import contextvars
from typing import TYPE_CHECKING

from cloacina.kernel.clock import Clock
from cloacina.kernel.observe import Observer
from cloacina.planner.effects import AttemptSettled, StartAttempt
from cloacina.planner.events import AttemptEnded, Now
from cloacina.planner.execution import ExecutionState
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

    def start(self, effect: StartAttempt) -> None:
        runner = self._runner
        runner.point("before a body starts")
        body = runner.world.begin_body(runner, effect)

        def report() -> None:
            if body.is_deadly and runner.world.are_faults_on:
                runner.die("of a body")
            elif runner.is_alive:
                body.is_reported = True
                runner.send(
                    AttemptEnded(
                        execution_id=body.execution_id,
                        task_number=body.task_number,
                        token=effect.token,
                        result=body.result,
                    )
                )

        runner.begin(effect.token)
        runner.world.after(body.duration_us, report)
        runner.point("after a body started")


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
