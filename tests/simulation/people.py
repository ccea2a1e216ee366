"""Whoever uses the engine: submits, waits, cancels, pauses, and checks what it is told."""

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from cloacina.errors import DuplicateExecutionError, EngineError
from cloacina.model.states import Wish
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity, Submitted
from cloacina.planner.execution import ExecutionState
from simulation.log import ViolationError, require
from simulation.scenario import SECOND, Order
from simulation.snapshot import FINAL

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner
    from simulation.world import World


class People:
    """Speaks to runners only, as a program does that embeds them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._acknowledged: list[str] = []
        self._answers: list[tuple[str, SimulatedRunner, Future[ExecutionState]]] = []
        self._resumed = 0

    def submit(self, execution_id: str, topology: Topology, order: Order) -> None:
        """Ask a runner that knows the workflow to run it; try again later if there is none."""
        world, name = self._world, topology.workflow.name
        runners = world.open_runners(name)
        if not runners:
            world.after(SECOND, partial(self.submit, execution_id, topology, order))
            return
        if order.is_refused:
            world.refused.add(execution_id)
        runner = world.dice.choice(runners)
        runner.log(f"is asked to run {name} as {execution_id}")
        identity = Identity(
            execution_id=execution_id,
            tenant="public",
            package="embedded",
            package_digest=None,
            workflow=name,
            workflow_version="v",
            priority=order.priority,
            idempotency_key=order.key,
        )
        texts = {} if order.go is None else {"go": str(order.go)}
        texts |= {} if order.items is None else {"list": order.items}
        event = Submitted(identity=identity, topology=topology, input_texts=texts)
        submission = runner.submit(event)
        self._answers.append((execution_id, runner, submission.ended))
        submission.accepted.add_done_callback(partial(self._acknowledge, execution_id))

    def ask(self, command_id: str, wish: Wish) -> None:
        """Ask a runner for something; if the execution is not its own, leave a command."""
        world = self._world
        runners, known = world.open_runners(), sorted(world.monitor.snapshots)
        if runners and known:
            runner, execution_id = world.dice.choice(runners), world.dice.choice(known)
            runner.log(f"is asked to {wish.lower()} {execution_id}")
            answered = runner.ask(execution_id, wish)
            leave = partial(self._leave_command, command_id, execution_id, wish)
            answered.add_done_callback(leave)

    def resume_all(self, rounds: int) -> None:
        """Resume what is paused, again and again: a command to pause may still be on its way."""
        world = self._world
        rows = [snapshot.execution for snapshot in world.monitor.snapshots.values()]
        for row in rows:
            if row.status == "Paused":
                self._resumed += 1
                world.database.leave_command(f"d{self._resumed}", row.id, Wish.RESUME)
                world.ring(None)
        if rounds and any(row.status not in FINAL for row in rows):
            world.after(30 * SECOND, partial(self.resume_all, rounds - 1))

    def check_answers(self) -> None:
        """Judge at the end what everybody was told."""
        for execution_id in self._acknowledged:
            require(execution_id in self._world.monitor.snapshots, f"{execution_id} is gone")
        for execution_id, runner, answer in self._answers:
            if runner.is_alive:
                self._check_answer(execution_id, answer)

    def _acknowledge(self, execution_id: str, accepted: Future[None]) -> None:
        world = self._world
        if accepted.exception() is None:
            if execution_id not in world.monitor.snapshots:
                world.failure = ViolationError(f"{execution_id} was accepted before it was durable")
            self._acknowledged.append(execution_id)
            world.after(world.dice.randrange(10 * SECOND), partial(self._wait, execution_id))
        elif isinstance(accepted.exception(), DuplicateExecutionError):
            keys = {each.execution.idempotency_key for each in world.monitor.snapshots.values()}
            if "urgent" not in keys:
                world.failure = ViolationError(f"{execution_id} was a duplicate of nothing")

    def _wait(self, execution_id: str) -> None:
        runners = self._world.open_runners()
        if runners:
            runner = self._world.dice.choice(runners)
            self._answers.append((execution_id, runner, runner.wait_for(execution_id)))

    def _leave_command(
        self, command_id: str, execution_id: str, wish: Wish, answer: Future[bool]
    ) -> None:
        world = self._world
        if answer.exception() is None and not answer.result():
            world.log.add(world.now_us, "world", f"leaves {command_id}: {wish} {execution_id}")
            world.database.leave_command(command_id, execution_id, wish)
            world.ring(None)

    def _check_answer(self, execution_id: str, answer: Future[ExecutionState]) -> None:
        require(answer.done(), f"who waits for {execution_id} was not told")
        error = answer.exception()
        if error is not None:
            require(isinstance(error, EngineError), f"{execution_id} answers {error!r}")
            return
        status = self._world.monitor.snapshots[execution_id].execution.status
        was_told = answer.result().status
        require(was_told == status, f"who waits for {execution_id} was told {was_told}")
