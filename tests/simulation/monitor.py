"""Watches a simulation: looks at the database after every transaction and at runners after turns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloacina.model.topology import Topology
from cloacina_sdk.context import Context
from cloacina_sdk.json_text import JsonValue, encode
from cloacina_sdk.spec import WorkflowSpec
from cloacina_sdk.waiting import Memory, Wait
from simulation import invariants, offers, oracle
from simulation.bodies import Body
from simulation.log import Difference, require
from simulation.scenario import Liveness
from simulation.snapshot import FINAL, Snapshot, TaskRow, spec_of
from simulation.waits import Waits, was_parked

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner
    from simulation.world import World

Waiting = dict[tuple[str, int], tuple[tuple[int, str], int]]
"""Ready tasks of a runner: (execution, task) -> its place, lower first, and how often it paused."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The delay between a failed attempt and the next, within one ownership."""

    epoch: int
    earliest_us: int
    latest_us: int


class Monitor:
    """Keeps the last snapshot of every execution and judges every change to it."""

    def __init__(self, world: "World", workflows: Iterable[WorkflowSpec]) -> None:
        self._world = world
        self._database = world.database
        self._log = world.log
        self._topologies = {workflow.name: Topology.of(workflow) for workflow in workflows}
        self._tokens: set[str] = set()
        self._pauses: dict[tuple[str, int], Pause] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.bodies: dict[str, Body] = {}
        self.waits = Waits()
        self.last_end_us = 0
        self.ends: dict[str, set[str]] = {}
        """How each execution ended: several times, if it was retried."""
        self._since: dict[tuple[str, int], int] = {}
        """(execution, task) -> the last attempt before the task was reset."""

    def observe(
        self, at_us: int, writer: "SimulatedRunner", epochs: Mapping[str, int] | None
    ) -> None:
        """Look at what a transaction of ``writer`` did; ``epochs`` of a commit, ``None`` of a claim."""
        for execution_id, after in sorted(self._database.snapshots().items()):
            before = self.snapshots.get(execution_id)
            if before is after or before == after:
                continue
            self._log.add(at_us, writer.id, Difference(before, after))
            if epochs is None and before is not None and before.execution == after.execution:
                offers.check_guest(before, after, writer.id, self._tokens)
                self.snapshots[execution_id] = after
                continue
            topology = self._topologies[after.execution.workflow]
            if epochs is not None:
                require(execution_id in epochs, f"{execution_id} was changed by the way")
            epoch = None if epochs is None else epochs[execution_id]
            is_seized, again = False, None
            if epochs is None and before is not None and before.events != after.events:
                is_seized, epoch = True, after.execution.epoch
                again = self._to_run_again(before, after, topology)
                is_taken = before.execution.owner in self._database.runner_ids()
                require(again is not None or not is_taken, f"{before.execution.owner} was robbed")
            change = invariants.Change(
                before=before,
                after=after,
                topology=topology,
                writer=writer.id,
                epoch=epoch,
                is_seized=is_seized,
                again=again,
            )
            self._check_writer(writer, change)
            invariants.check(change, self.bodies, self._tokens)
            if change.epoch is not None:
                self.waits.check(change, self.bodies, at_us, writer)
            if before is None:
                invariants.check_key(after, self.snapshots.values())
            self._check_pauses(at_us, writer, change)
            self.snapshots[execution_id] = after
            invariants.check_limits(self.snapshots.values(), self._topologies)
            if after.execution.status in FINAL:
                self.last_end_us = at_us
                self.ends.setdefault(execution_id, set()).add(after.execution.status)
                self._judge(after, topology)

    def _to_run_again(
        self, before: Snapshot, after: Snapshot, topology: Topology
    ) -> frozenset[int] | None:
        """Return what a retry is about; ``None`` if it was none."""
        fresh = after.events[len(before.events) :]
        retried = [event for event in fresh if event.kind == "execution_retried"]
        if not retried:
            return None
        is_whole = str(retried[0].detail).startswith("everything")
        again = invariants.to_run_again(before, topology, from_failed=not is_whole)
        name = after.execution.id
        self._since |= {(name, n): before.tasks[n].attempt for n in again}
        return again

    def _check_writer(self, writer: "SimulatedRunner", change: invariants.Change) -> None:
        """Whom the others hold for dead writes nothing, where there is a server to see to it."""
        if self._world.liveness is Liveness.LEASES and change.after.execution.owner is not None:
            require(writer.id in self._world.registered, f"{writer.id} wrote after its eviction")

    def body_starts(
        self, token: str, body: Body, memory: Memory | None, *, is_guest: bool = False
    ) -> None:
        """Judge the start of a body by what is committed at this moment."""
        require(token not in self.bodies, f"the body of {token} started twice")
        self.bodies[token] = body
        snapshot = self.snapshots.get(body.execution_id)
        require(snapshot is not None, f"{token} started before its execution was durable")
        assert snapshot is not None
        if is_guest and any(offer.token == token for offer in snapshot.offers):
            return
        attempt = next((a for a in snapshot.attempts if a.token == token), None)
        require(attempt is not None, f"{token} started before that was durable")
        assert attempt is not None
        if is_guest:
            return  # it stood still after its claim, and its owner did not wait
        was_fenced_off = snapshot.execution.owner != body.runner_id
        fitting = {None, "RunnerLost", "Cancelled"} if was_fenced_off else {None}
        require(attempt.outcome in fitting, f"{token} started after it had ended")
        if not was_fenced_off:
            self.waits.check_start(body, snapshot, memory)

    def waiting(self, runner: "SimulatedRunner") -> Waiting:
        """Return what is ready to start in the executions that ``runner`` owns."""
        return {
            (name, task.number): (
                (-snapshot.execution.priority, snapshot.execution.created_at),
                sum(event.kind == "execution_paused" for event in snapshot.events),
            )
            for name, snapshot in self.snapshots.items()
            if snapshot.execution.owner == runner.id and snapshot.execution.status == "Running"
            if name not in runner.neighbours.in_doubt
            for task in snapshot.tasks
            if task.status == "Ready" and task.sub_status is None
            if not snapshot.is_held_back(task, self._topology(snapshot))
        }

    def turn_ended(
        self, runner: "SimulatedRunner", waiting_before: Waiting, begun: Iterable[str]
    ) -> None:
        """Judge a runner at the end of a turn that started the attempts ``begun`` (tokens)."""
        self._check_slots(runner)
        waiting = self.waiting(runner)
        self._check_ownership(runner)
        if not runner.is_stopping:
            self._check_not_late(runner, waiting)
            self.waits.check_not_late(runner, self.snapshots)
            planned = (s for name, s in self.snapshots.items() if runner.planner.owns(name))
            offers.check_idle(runner.id, runner.planner, planned)
        # priorities may have changed within the turn, before or after the start
        passed_over = [
            max(place, waiting_before[key][0])
            for key, (place, pauses) in waiting.items()
            if key in waiting_before and pauses == waiting_before[key][1]
            if runner.planner.owns(key[0])
        ]
        for token in begun:
            body = self.bodies[token]
            row = self.snapshots[body.execution_id].execution
            place = -row.priority, row.created_at
            key = body.execution_id, body.task_number
            if key in waiting_before:
                place = min(place, waiting_before[key][0])
            require(not any(p < place for p in passed_over), f"{token} jumped the queue")

    def _check_ownership(self, runner: "SimulatedRunner") -> None:
        """What a runner plans and what it owns are the same, unless it cannot know yet."""
        planned = runner.planner._in_flight.by_id.values()
        known = {each.id: each.epoch for each in planned if each.stored_status is not None}
        in_doubt = runner.neighbours.in_doubt
        # one that has to end may have no time left to join again
        is_ignorant = runner.is_struck_out or runner.kernel._committer._is_evicted
        for name, snapshot in self.snapshots.items():
            row = snapshot.execution
            is_ours = row.owner == runner.id and row.status not in FINAL
            if is_ours and not runner.is_stopping and name not in in_doubt:
                require(known.get(name) == row.epoch, f"{runner.id} forgot {name}, which it owns")
            if name in known and not is_ignorant:
                require(is_ours, f"{runner.id} goes on with {name}, which is not its own")

    def _check_slots(self, runner: "SimulatedRunner") -> None:
        """A slot is held by the bodies that run, and by those whose end is on its way."""
        slots = runner.planner._schedule._slots
        require(slots.free >= 0, "more attempts than slots")
        require(slots.free + len(slots.held) == runner.slots, "slots were lost or won")
        own = {token: body for token, body in self.bodies.items() if body.runner_id == runner.id}
        running = {token for token, body in own.items() if not body.is_reported}
        holding = {token for token in running if not own[token].may_lack_slot}
        require(holding <= slots.held, "a slot came back before its body ended")
        if not runner.has_mail:
            require(slots.held <= running, f"slots are held by nothing: {slots.held - running}")

    def _check_not_late(self, runner: "SimulatedRunner", waiting: Waiting) -> None:
        if not runner.planner._schedule.free_slots:
            return
        require(not waiting, f"{list(waiting)} wait although slots of {runner.id} are free")
        for name, snapshot in self.snapshots.items():
            is_own = snapshot.execution.owner == runner.id and runner.planner.owns(name)
            if is_own and snapshot.execution.status == "Running":
                self._check_elements_not_late(name, snapshot)
        for (name, number), pause in self._pauses.items():
            snapshot = self.snapshots[name]
            row = snapshot.execution
            if (row.owner, row.epoch) == (runner.id, pause.epoch):
                is_due = pause.latest_us <= runner.turn_began_us
                task = snapshot.task(number)
                waits = task.sub_status == "Retrying" and row.status == "Running"
                waits = waits and not snapshot.is_held_back(task, self._topology(snapshot))
                require(not (is_due and waits), f"the retry of {name} task {number} is late")

    def _topology(self, snapshot: Snapshot) -> Topology:
        return self._topologies[snapshot.execution.workflow]

    def _check_elements_not_late(self, name: str, snapshot: Snapshot) -> None:
        if snapshot.execution.stopping is not None:
            return
        for task in snapshot.tasks:
            if task.status != "Running" or task.elements is None:
                continue
            elements = snapshot.elements(task)
            next_one = task._replace(parent=task.number)
            is_held_back = snapshot.is_held_back(next_one, self._topology(snapshot))
            is_late = len(elements) < task.elements and not is_held_back
            require(not is_late, f"elements of {name} {task.task} wait although slots are free")

    def _check_pauses(
        self, at_us: int, writer: "SimulatedRunner", change: invariants.Change
    ) -> None:
        before = (
            {(a.task_number, a.number): a for a in change.before.attempts} if change.before else {}
        )
        name, epoch = change.after.execution.id, change.after.execution.epoch
        for attempt in change.after.attempts:
            known = before.get((attempt.task_number, attempt.number))
            key = name, attempt.task_number
            if known is None:
                pause = self._pauses.pop(key, None)
                if pause is not None and pause.epoch == epoch:
                    require(at_us >= pause.earliest_us, f"the retry of {key} is early")
            if attempt.outcome == "Failed" and (known is None or known.outcome is None):
                task = change.after.task(attempt.task_number)
                policy = spec_of(change.topology, task).retry
                shortest = policy.delay_ms(task.failures, 0.0) * 1000
                longest = policy.delay_ms(task.failures, 1.0) * 1000
                if task.sub_status == "Retrying":
                    self._pauses[key] = Pause(
                        epoch, writer.turn_began_us + shortest, at_us + longest
                    )

    def _judge(self, snapshot: Snapshot, topology: Topology) -> None:
        """Compare an execution that has ended with the oracle's verdict."""
        endings: oracle.Endings = {(spec.id, None): [] for spec in topology.tasks}
        attempts = [
            attempt
            for attempt in snapshot.attempts
            if attempt.number > self._since.get((attempt.execution_id, attempt.task_number), 0)
        ]
        for attempt in attempts:
            row = snapshot.task(attempt.task_number)
            ends = endings.setdefault((row.task, row.item), [])
            if attempt.outcome == "Deferred":
                ends += self.waits.failures_after(attempt)
            elif attempt.outcome == "RunnerLost" and was_parked(attempt, snapshot):
                pass  # which counts against nothing
            elif attempt.outcome == "RunnerLost":
                ends.append(oracle.LOST)
            elif attempt.outcome == "Cancelled":
                ends.append(oracle.CANCELLED)
            elif attempt.error_type == "TaskTimeout":
                ends.append(oracle.TIMED_OUT)
            else:
                result = self.bodies[attempt.token].result
                assert not isinstance(result, Wait)
                ends.append(result)
        given = Context.from_json(snapshot.execution.input).texts()
        tasks = [row for row in snapshot.tasks if row.parent is None]
        cancelled = frozenset(row.task for row in tasks if row.status == "Cancelled")
        stop = oracle.Stop(snapshot.execution.stopping, cancelled)
        verdict = oracle.judge(topology.workflow, endings, given, stop)
        require(not verdict.problems, "; ".join(verdict.problems))
        found = {row.task: row.status for row in tasks}
        require(found == verdict.statuses, f"found {found}, expected {verdict.statuses}")
        execution = snapshot.execution
        expected = verdict.status, verdict.error_task
        told = execution.status, execution.error_task
        require(told == expected, f"{execution.id} must end as {expected}")
        for attempt in attempts:
            if attempt.token in self.bodies:
                body = self.bodies[attempt.token]
                row = snapshot.task(attempt.task_number)
                seen = verdict.seen[row.task]
                require(body.texts == seen, f"{row.task} saw {body.texts}: {seen}")
                self._check_element(row, body, verdict.lists.get(row.task))

    @staticmethod
    def _check_element(row: TaskRow, body: Body, items: Sequence[JsonValue] | None) -> None:
        if row.item is None:
            require(body.element is None, f"{row.task} is not mapped")
            return
        element = body.element
        require(element is not None and items is not None, f"{row.task} is mapped")
        assert element is not None
        assert items is not None
        ran_for = element.index, element.text
        require(ran_for == (row.item, encode(items[row.item])), f"{row} ran for {ran_for}")
