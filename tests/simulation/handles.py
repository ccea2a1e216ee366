"""What bodies that take a handle ask of the engine, and the conditions that it calls for them."""

from functools import partial
from typing import TYPE_CHECKING

from cloacina.kernel.asks import Asked
from cloacina.planner.effects import CallCondition
from cloacina.planner.events import ConditionTold
from cloacina_sdk.executor import Ask, Checkpoint, Park, Reply, Unpark
from cloacina_sdk.outcome import TaskFailure
from simulation.bodies import Body
from simulation.scripts import SECOND

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class SimulatedHandle:
    """Asks what one body asks, one thing at a time, and ends the body then."""

    def __init__(self, runner: "SimulatedRunner", body: Body, token: str) -> None:
        self._runner = runner
        self._body = body
        self._token = token
        self._checkpoint = f'"{token}"'

    def begin(self) -> None:
        """Ask for something a third of the way, if the body wants anything."""
        wait_us = self._body.duration_us // 3
        if self._body.does_checkpoint:
            self._runner.world.after(wait_us, self._ask_to_keep)
        elif self._body.parks_for_us is not None:
            self._runner.world.after(wait_us, self._ask_to_park)
        else:
            self._runner.world.after(self._body.duration_us, self._body.report)

    def _ask_to_keep(self) -> None:
        self._runner.world.monitor.waits.asked_to_keep(self._body, self._checkpoint)
        self._ask(Checkpoint(text=self._checkpoint))

    def _ask_to_park(self) -> None:
        self._body.may_lack_slot = True
        self._ask(Park())

    def _ask_to_unpark(self) -> None:
        self._ask(Unpark())

    def _ask(self, ask: Ask) -> None:
        runner, body = self._runner, self._body
        if body.is_reported or not runner.is_alive:
            return
        runner.log(f"is asked to {type(ask).__name__.lower()} by {self._token}")
        answer = partial(self._take, ask)
        runner.send(
            Asked(
                execution_id=body.execution_id,
                task_number=body.task_number,
                token=self._token,
                ask=ask,
                answer=answer,
            )
        )

    def _take(self, ask: Ask, reply: Reply) -> None:
        runner, body = self._runner, self._body
        runner.gate.point("before an ask is answered")
        if body.is_reported:
            return
        after = runner.world.after
        if reply is Reply.LOST:
            runner.log(f"tells {self._token} that it is lost")
            body.lose()
            after(1_000, body.report)
            return
        match ask:
            case Checkpoint():
                runner.world.monitor.waits.kept(body, self._checkpoint)
                goes_on = self._ask_to_park if body.parks_for_us is not None else body.report
                after(body.duration_us // 2, goes_on)
            case Park():
                after(body.parks_for_us or 0, self._ask_to_unpark)
            case Unpark():
                body.may_lack_slot = False
                after(body.duration_us // 2, body.report)


class SimulatedConditions:
    """Calls conditions by the world's clock: some hold late, some raise, some hang, one is unknown."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner

    def call(self, asked: CallCondition) -> None:
        """Have a condition called, which takes its time."""
        world = self._runner.world
        self._runner.gate.point("before a condition is called")
        if asked.name == "unheard of" and world.are_faults_on:
            world.after(5 * SECOND, partial(self._call_once_known, asked))
            return
        patience = (0, 1_000, SECOND, 20 * SECOND) if world.are_faults_on else (0, 1_000)
        world.after(world.dice.choice(patience), partial(self._answer, asked))

    def _call_once_known(self, asked: CallCondition) -> None:
        if self._runner.is_alive:
            self.call(asked)

    def _answer(self, asked: CallCondition) -> None:
        runner, world = self._runner, self._runner.world
        if not runner.is_alive:
            return
        answer = self._says(asked)
        world.monitor.waits.told(asked, answer)
        runner.log(f"hears of {asked.execution.id} task {asked.task_number}: {_shown(answer)}")
        runner.send(
            ConditionTold(
                execution_id=asked.execution.id,
                task_number=asked.task_number,
                attempt=asked.attempt,
                answer=answer,
            )
        )

    def _says(self, asked: CallCondition) -> bool | TaskFailure:
        world = self._runner.world
        if asked.name == "shaky" and world.are_faults_on and world.dice.random() < 0.3:
            return TaskFailure(
                error_type="ConnectionError",
                message=f"shaken {world.dice.getrandbits(32)}",
                traceback="",
                is_transient=True,
            )
        holds_from_us = {"early": 0, "late": 40 * SECOND}.get(asked.name, 10 * SECOND)
        return world.now_us >= holds_from_us


def _shown(answer: bool | TaskFailure) -> str:
    return answer.message if isinstance(answer, TaskFailure) else str(answer)
