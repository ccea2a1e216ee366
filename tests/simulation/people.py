"""Whoever uses the engine: submits, waits, cancels, pauses, and checks what it is told."""

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from cloacina.errors import DuplicateExecutionError, EngineError
from cloacina.model.states import Answer, Wish
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity, Requested, Submitted, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.wishes import event_argument, event_of
from simulation.log import ViolationError, require
from simulation.scenario import Order
from simulation.scripts import EVENTS, SECOND
from simulation.snapshot import FINAL
from simulation.waits import awaits_event

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner
    from simulation.world import World


class People:
    """Speaks to runners only, as a program does that embeds them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._acknowledged: list[str] = []
        self._answers: list[tuple[str, SimulatedRunner, Future[ExecutionState]]] = []
        self._asked: list[tuple[SimulatedRunner, Requested, Future[Verdict]]] = []
        self._sent = 0
        self._retries: list[tuple[SimulatedRunner, Future[None]]] = []
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
        """Ask a runner for something, whoever has the execution."""
        world = self._world
        runners, known = world.open_runners(), sorted(world.monitor.snapshots)
        if runners and known:
            snapshots = world.monitor.snapshots
            unfinished = [each for each in known if snapshots[each].execution.status not in FINAL]
            orphans = [each for each in unfinished if snapshots[each].execution.owner is None]
            among = world.dice.choice((known, unfinished or known, orphans or unfinished or known))
            runner, execution_id = world.dice.choice(runners), world.dice.choice(among)
            runner.log(f"is asked to {wish.lower()} {execution_id}")
            argument = None
            if wish is Wish.SET_PRIORITY:
                argument = str(world.dice.choice((-3, 0, 7)))
            wanted = Requested(
                execution_id=execution_id, wish=wish, argument=argument, command_id=command_id
            )
            self._asked.append((runner, wanted, runner.ask(wanted)))

    def send(self, name: str) -> None:
        """Have a runner send an event, whoever has the execution."""
        world = self._world
        runners, known = world.open_runners(), sorted(world.monitor.snapshots)
        if runners and known:
            snapshots = world.monitor.snapshots
            unfinished = [each for each in known if snapshots[each].execution.status not in FINAL]
            among = world.dice.choice((known, unfinished or known))
            runner, execution_id = world.dice.choice(runners), world.dice.choice(among)
            runner.log(f"is asked to send {name} to {execution_id}")
            wanted = self._event(execution_id, name)
            self._asked.append((runner, wanted, runner.ask(wanted)))

    def send_to_all(self, rounds: int) -> None:
        """Send whoever waits for an event all that there are, again and again.

        Whoever waits for something else is left alone: nothing but that may wake it.
        """
        world = self._world
        known = world.monitor.snapshots.items()
        waiting = [name for name, snapshot in known if awaits_event(snapshot)]
        for execution_id in waiting:
            for name in EVENTS:
                world.database.leave_command(self._event(execution_id, name))
        if waiting:
            world.ring(None)
        if rounds:  # some executions may yet be submitted
            world.after(20 * SECOND, partial(self.send_to_all, rounds - 1))

    def _event(self, execution_id: str, name: str) -> Requested:
        """Return a wish to send an event that is like no other."""
        self._sent += 1
        return Requested(
            execution_id=execution_id,
            wish=Wish.SEND_EVENT,
            argument=event_argument(name, self._sent),
            command_id=f"s{self._sent}",
        )

    def retry(self) -> None:
        """Ask a runner to run an execution again, which is refused unless it failed."""
        world = self._world
        runners, known = world.open_runners(), sorted(world.monitor.snapshots)
        if not runners or not known:
            return
        snapshots = world.monitor.snapshots
        failed = [n for n in known if snapshots[n].execution.status in {"Failed", "Cancelled"}]
        runner = world.dice.choice(runners)
        execution_id = world.dice.choice(world.dice.choice((failed or known, known)))
        from_failed = world.dice.random() < 0.7
        runner.log(f"is asked to retry {execution_id}")
        self._retries.append((runner, runner.retry(execution_id, from_failed=from_failed)))

    def resume_all(self, rounds: int) -> None:
        """Resume what is paused, again and again: a command to pause may still be on its way."""
        world = self._world
        rows = [snapshot.execution for snapshot in world.monitor.snapshots.values()]
        for row in rows:
            if row.status == "Paused":
                self._resumed += 1
                world.database.leave_command(
                    Requested(execution_id=row.id, wish=Wish.RESUME, command_id=f"d{self._resumed}")
                )
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
        for runner, wanted, answered in self._asked:
            self._check_verdict(runner, wanted, answered)
        for runner, reopened in self._retries:
            require(reopened.done() or not runner.is_alive, "who asked for a retry was not told")
            error = reopened.exception() if reopened.done() else None
            require(error is None or isinstance(error, EngineError), f"a retry answers {error!r}")

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

    def _check_verdict(
        self, runner: "SimulatedRunner", wanted: Requested, answered: Future[Verdict]
    ) -> None:
        if not answered.done():
            require(not runner.is_alive, f"who asked for {wanted} was not told")
            return
        error = answered.exception()
        if error is not None:
            require(isinstance(error, EngineError), f"{wanted} answers {error!r}")
            return
        snapshot = self._world.monitor.snapshots[wanted.execution_id]
        if wanted.wish == Wish.SEND_EVENT:
            payloads = [event.payload for event in snapshot.sent]
            is_sent = str(event_of(wanted)[1]) in payloads
            is_granted = answered.result().answer is Answer.GRANTED
            require(is_sent == is_granted, f"{wanted} answers {answered.result()}")
            return
        if any(event.kind == "execution_retried" for event in snapshot.events):
            return  # whatever was granted before that
        row = snapshot.execution
        is_cancelled = wanted.wish == Wish.CANCEL and answered.result().answer is Answer.GRANTED
        require(
            not is_cancelled or row.stopping == "Cancel", f"{row.id} was not cancelled as granted"
        )

    def _check_answer(self, execution_id: str, answer: Future[ExecutionState]) -> None:
        require(answer.done(), f"who waits for {execution_id} was not told")
        error = answer.exception()
        if error is not None:
            require(isinstance(error, EngineError), f"{execution_id} answers {error!r}")
            return
        was_told = answer.result().status
        ends = self._world.monitor.ends[execution_id]
        require(was_told in ends, f"who waits for {execution_id} was told {was_told}")
