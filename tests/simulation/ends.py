"""The ends of a simulated kernel: its thread, its clocks, its executor and its plugins.

Every call that leaves the kernel passes a point at which the process can be cut off.
"""

import contextvars
from functools import partial
from typing import TYPE_CHECKING

from cloacina.kernel.clock import Clock
from cloacina.kernel.observe import Observer
from cloacina.planner.effects import (
    AttemptDeferred,
    AttemptSettled,
    StartAttempt,
    StopAttempt,
    WaitFailed,
)
from cloacina.planner.events import AttemptEnded, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.guests import ClaimedOffer, OpenOffer
from cloacina_sdk.spec import TaskSpec
from simulation import speech
from simulation.bodies import Body, Order
from simulation.handles import SimulatedHandle
from simulation.scripts import SECOND

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
        self._runner.gate.reads_clock()
        return self._runner.now()

    def pause(self, seconds: float) -> None:
        self._runner.gate.wait(round(seconds * SECOND))
        self._runner.gate.point("while it waits for the database")


class SimulatedExecutor:
    """Runs bodies by the world's clock; they vanish with their runner."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner
        self.variables: dict[str, contextvars.Context] = {}

    def stop(self, effect: StopAttempt) -> None:
        """Make a body end: some end when they are asked, some when they are killed, some never."""
        self.cancel(effect.token, is_kill=effect.is_kill)

    def cancel(self, token: str, *, is_kill: bool) -> None:
        runner = self._runner
        runner.gate.point("before a body is stopped")
        body = runner.world.monitor.bodies.get(token)
        if body is not None and body.yields_to(is_kill=is_kill):
            runner.log(f"stops {body.execution_id} task {body.task_number}")
            runner.world.after(1_000, body.report)

    def known(self, offer: OpenOffer) -> TaskSpec | None:
        """Return the task of an offer whose workflow this runner knows."""
        workflow = offer.identity.workflow
        if workflow not in self._runner.known:
            return None
        return self._runner.world.topologies[workflow].workflow.task(offer.task)

    def start(self, effect: StartAttempt) -> None:
        runner = self._runner
        runner.gate.point("before a body starts")
        runner.begin(effect.token)
        task = effect.execution.spec(effect.task_number)
        order = Order(
            execution_id=effect.execution.id,
            workflow=effect.execution.identity.workflow,
            task=task,
            task_number=effect.task_number,
            attempt=effect.attempt,
            token=effect.token,
            texts=effect.texts,
            element=effect.element,
            memory=effect.memory,
            utc_us=runner.now().utc_us,
        )
        self._begin(order, is_guest=False)

    def start_guest(self, claimed: ClaimedOffer, task: TaskSpec) -> None:
        self._runner.gate.point("before a guest starts")
        order = Order(
            execution_id=claimed.offer.identity.execution_id,
            workflow=claimed.offer.identity.workflow,
            task=task,
            task_number=claimed.offer.task_number,
            attempt=claimed.offer.attempt,
            token=claimed.token,
            texts=claimed.texts,
        )
        self._begin(order, is_guest=True)

    def _begin(self, order: Order, *, is_guest: bool) -> None:
        runner = self._runner
        body = runner.world.begin_body(runner, order, is_guest=is_guest)
        runner.kernel.logbook.open(
            order.token, order.execution_id, order.task_number, is_guest=is_guest
        )
        if runner.world.is_talkative and speech.speaks(body):
            runner.world.after(body.duration_us // 2, partial(self._speak, body, order.token))
        body.report = partial(self._report, body, order.token)
        if order.memory is None:
            runner.world.after(body.duration_us, body.report)
        else:
            SimulatedHandle(runner, body, order.token).begin()
        runner.gate.point("after a body started")

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
        self._runner.gate.point(f"before the start of {effect.execution.id}")

    def attempt_deferred(self, effect: AttemptDeferred) -> None:
        self._runner.gate.point(f"after an attempt of {effect.execution.id} that waits")

    def wait_failed(self, effect: WaitFailed) -> None:
        self._runner.gate.point(f"after a wait of {effect.execution.id}")

    def attempt_settled(self, effect: AttemptSettled) -> None:
        self._runner.gate.point(f"after an attempt of {effect.execution.id}")

    def execution_ended(self, execution: ExecutionState) -> None:
        self._runner.log(f"ends {execution.id} as {execution.status}")
        self._runner.gate.point("after an end")
