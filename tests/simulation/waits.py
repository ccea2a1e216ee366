"""What must hold of waits: none passes early or late, events are seen once and in order, none is lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloacina.planner.effects import CallCondition
from cloacina.planner.memory import NOTHING_KEPT, OpenWait, Passed, TaskMemory
from cloacina.store.memories import memory_of
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Memory, PassedWait, Wait, WaitKind
from simulation.bodies import Body
from simulation.invariants import Change
from simulation.log import require
from simulation.scripts import BEGINNING_US, describes
from simulation.snapshot import FINAL, AttemptRow, EventRow, Snapshot, TaskRow

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Watch:
    """Since when a wait is watched in one ownership."""

    wait: OpenWait
    epoch: int
    earliest_us: int
    latest_us: int


@dataclass(frozen=True, slots=True)
class _Moment:
    """When a change is seen, and who made it."""

    at_us: int
    writer: "SimulatedRunner"

    @property
    def latest_utc_us(self) -> int:
        """The latest that any clock of the writer's machine can have shown it."""
        return BEGINNING_US + self.at_us + max(self.writer.host.offsets_us)


@dataclass(slots=True)
class Waits:
    """Everything that is known of waits, checkpoints and conditions."""

    watched: dict[Key, _Watch] = field(default_factory=dict)
    asked: dict[Key, list[str | None]] = field(default_factory=dict)
    """Checkpoints that may be stored: the last one that surely was, and those asked for since."""
    answers: dict[tuple[str, int, int], list[bool | TaskFailure]] = field(default_factory=dict)
    failures: dict[Key, list[tuple[int, TaskFailure]]] = field(default_factory=dict)
    """What conditions raised that counts, with the attempt before that."""

    def asked_to_keep(self, body: Body, text: str) -> None:
        """Note that a body asks to keep a checkpoint."""
        self.asked.setdefault((body.execution_id, body.task_number), [None]).append(text)

    def kept(self, body: Body, text: str) -> None:
        """Note that a body was told that its checkpoint is kept."""
        asked = self.asked.get((body.execution_id, body.task_number), [])
        if text in asked:  # else it is told late: another run has stored something since
            del asked[: asked.index(text)]

    def told(self, asked: CallCondition, answer: bool | TaskFailure) -> None:
        """Note what a condition says."""
        key = asked.execution.id, asked.task_number, asked.attempt
        self.answers.setdefault(key, []).append(answer)

    def failures_after(self, attempt: AttemptRow) -> list[TaskFailure]:
        """Return what failed of the wait that an attempt ended for, if anything did."""
        failures = self.failures.get((attempt.execution_id, attempt.task_number), ())
        return [failure for number, failure in failures if number == attempt.number]

    def forget(self, key: Key) -> None:
        """Note that a task is run anew."""
        self.asked.pop(key, None)
        self.failures.pop(key, None)

    def check_start(self, body: Body, snapshot: Snapshot, memory: Memory | None) -> None:
        """A body is told what is stored."""
        if memory is None:
            return
        kept = _memory(snapshot.task(body.task_number))
        expected = tuple(_told(each, snapshot) for each in kept.passed)
        require(memory.waits == expected, f"a body is told of {memory.waits}, not {expected}")
        require(kept.open is None, f"a body begins while it waits for {kept.open}")
        asked = self.asked.get((body.execution_id, body.task_number), [None])
        require(memory.checkpoint in asked, f"checkpoint {memory.checkpoint} is none of {asked}")

    def check(
        self, change: Change, bodies: Mapping[str, Body], at_us: int, writer: "SimulatedRunner"
    ) -> None:
        """Judge what a change does to the waits of an execution."""
        known = {task.number: task for task in change.before.tasks} if change.before else {}
        for task in change.after.tasks:
            key = change.after.execution.id, task.number
            if change.again is not None and task.number in change.again:
                require(_memory(task) == NOTHING_KEPT, f"{task} kept its waits")
                self.forget(key)
                continue
            begun = _begun(change, task, bodies)
            self._check_task(change, known.get(task.number), task, begun, _Moment(at_us, writer))
            self._watch(change, task, begun, _Moment(at_us, writer))
        _check_sent(change)
        _check_standstill(change)

    def check_not_late(self, runner: "SimulatedRunner", snapshots: Mapping[str, Snapshot]) -> None:
        """Nothing that is over is still waited for at the end of a turn."""
        for (name, number), watch in self.watched.items():
            row = snapshots[name].execution
            if watch.latest_us > runner.turn_began_us:
                continue
            if (row.owner, row.epoch) == (runner.id, watch.epoch) and row.status not in FINAL:
                is_open = _memory(snapshots[name].task(number)).open == watch.wait
                require(not is_open, f"the wait of {name} task {number} is late")

    def _check_task(
        self,
        change: Change,
        was: TaskRow | None,
        now: TaskRow,
        begun: Wait | None,
        moment: "_Moment",
    ) -> None:
        before, after = NOTHING_KEPT if was is None else _memory(was), _memory(now)
        waits = now.status == "Ready" and now.sub_status == "Deferred"
        require(waits == (after.open is not None), f"{now} disagrees about its wait")
        count = len(before.passed)
        require(after.passed[:count] == before.passed, f"{now} forgot a wait")
        require(len(after.passed) <= count + 1, f"{now} passed two waits at once")
        if begun is not None and after.open is not None:
            require(describes(begun, after.open), f"{begun} is stored as {after.open}")
        if len(after.passed) > count:
            self._check_passed(change, now, before, begun, moment)
        elif before.open is not None and after.open is None and was is not None:
            self._check_given_up(change, was, now)

    def _check_passed(
        self,
        change: Change,
        now: TaskRow,
        before: TaskMemory,
        begun: Wait | None,
        moment: "_Moment",
    ) -> None:
        passed = _memory(now).passed[-1]
        key = now.execution_id, now.number
        wait = before.open or begun
        require(wait is not None, f"{now} passed what it did not wait for")
        assert wait is not None
        same = (wait.kind, wait.name) == (passed.kind, passed.name)
        require(same, f"{now} waited for {wait} and passed {passed}")
        if passed.event is not None:
            _check_event(change.after, passed, before)
        elif passed.kind is WaitKind.TIME or passed.is_timed_out:
            self._check_not_early(key, wait, change.after.execution.epoch, moment)
        else:
            attempt = now.attempt - _is_started(change, now)
            answers = self.answers.get((*key, attempt), [])
            require(True in answers, f"{now} passed a condition that never held")

    def _check_not_early(
        self, key: Key, wait: OpenWait | Wait, epoch: int, moment: "_Moment"
    ) -> None:
        if isinstance(wait, Wait):  # it was over when it began, or the turn took that long
            passed_us = moment.at_us - moment.writer.turn_began_us
            least_us = (wait.delay_ms or wait.timeout_ms or 0) * 1000
            require(passed_us >= least_us, f"{key} did not wait")
            return
        watch = self.watched[key]
        is_over = watch.epoch != epoch and (wait.until_us or 0) <= moment.latest_utc_us
        require(is_over or moment.at_us >= watch.earliest_us, f"the wait of {key} is early")

    def _check_given_up(self, change: Change, was: TaskRow, now: TaskRow) -> None:
        if now.failures == was.failures:
            require(now.status == "Cancelled", f"{now} gave its wait up")
            return
        key = now.execution_id, now.number
        raised = [a for a in self.answers[*key, was.attempt] if isinstance(a, TaskFailure)]
        told = [event.detail or "" for event in _fresh(change) if event.task_number == now.number]
        found = [failure for failure in raised if any(failure.message in text for text in told)]
        require(len(found) == 1, f"{now} failed of nothing that a condition raised")
        self.failures.setdefault(key, []).append((was.attempt, found[0]))

    def _watch(self, change: Change, task: TaskRow, begun: Wait | None, moment: "_Moment") -> None:
        key, wait = (task.execution_id, task.number), _memory(task).open
        epoch = change.after.execution.epoch
        known = self.watched.get(key)
        if wait is None or wait.until_us is None or wait.longest_us is None:
            self.watched.pop(key, None)
        elif known is None or (known.wait, known.epoch) != (wait, epoch):
            earliest_us = moment.writer.turn_began_us + wait.longest_us
            if begun is None:  # it was claimed
                earliest_us = min(earliest_us, wait.until_us - moment.latest_utc_us + moment.at_us)
            latest_us = moment.at_us + wait.longest_us
            self.watched[key] = _Watch(wait, epoch, earliest_us, latest_us)


def was_parked(attempt: AttemptRow, snapshot: Snapshot) -> bool:
    """Whether an attempt waited where it was when it ended."""
    kinds = [event.kind for event in snapshot.events if event.task_number == attempt.task_number]
    starts = [place for place, kind in enumerate(kinds) if kind == "task_started"]
    own = kinds[starts[attempt.number - 1] :]
    end = next(place for place, kind in enumerate(own) if kind == "task_runner_lost")
    return own[:end].count("task_parked") > own[:end].count("task_unparked")


def awaits_event(snapshot: Snapshot) -> bool:
    """Whether some task of an execution that has not ended waits for an event."""
    waits = [_memory(task).open for task in snapshot.tasks]
    is_open = snapshot.execution.status not in FINAL
    return is_open and any(wait is not None and wait.kind is WaitKind.EVENT for wait in waits)


def _memory(task: TaskRow) -> TaskMemory:
    return memory_of(task.waits, task.checkpoint)


def _told(passed: Passed, snapshot: Snapshot) -> PassedWait:
    payload = None if passed.event is None else snapshot.sent[passed.event - 1].payload
    return PassedWait(
        kind=passed.kind, name=passed.name, is_timed_out=passed.is_timed_out, payload=payload
    )


def _begun(change: Change, task: TaskRow, bodies: Mapping[str, Body]) -> Wait | None:
    """Return the wait that an attempt ended for in this very change."""
    known = {(a.task_number, a.number): a for a in change.before.attempts} if change.before else {}
    for attempt in change.after.attempts:
        was = known.get((attempt.task_number, attempt.number))
        is_new_end = attempt.outcome == "Deferred" and (was is None or was.outcome is None)
        if attempt.task_number == task.number and is_new_end:
            result = bodies[attempt.token].result
            assert isinstance(result, Wait)
            return result
    return None


def _is_started(change: Change, task: TaskRow) -> int:
    """How many attempts of a task began in this very change."""
    kinds = [event.kind for event in _fresh(change) if event.task_number == task.number]
    return kinds.count("task_started")


def _fresh(change: Change) -> tuple[EventRow, ...]:
    return change.after.events[len(change.before.events) if change.before else 0 :]


def _check_event(after: Snapshot, passed: Passed, before: TaskMemory) -> None:
    named = [event.seq for event in after.sent if event.name == passed.name]
    place = before.seen_of(passed.name or "")
    require(place < len(named), f"{passed} came before it was sent")
    require(named[place] == passed.event, f"{passed} came out of turn: {named}")


def _check_sent(change: Change) -> None:
    """Events are numbered without gaps, stay as they are, and nobody waits for what was sent."""
    after, before = change.after, change.before
    numbers = [event.seq for event in after.sent]
    require(numbers == list(range(1, len(numbers) + 1)), f"events are numbered {numbers}")
    known = before.sent if before else ()
    require(after.sent[: len(known)] == known, "an event was changed")
    payloads = [event.payload for event in after.sent]
    require(len(set(payloads)) == len(payloads), "an event was sent twice")
    for task in after.tasks:
        memory = _memory(task)
        wait = memory.open
        if wait is not None and wait.kind is WaitKind.EVENT:
            sent = sum(event.name == wait.name for event in after.sent)
            require(sent <= memory.seen_of(wait.name or ""), f"{task} waits for what was sent")


def _check_standstill(change: Change) -> None:
    """The clock of a workflow stands still exactly while its execution only waits."""
    row, tasks = change.after.execution, change.after.tasks
    is_limited = change.topology.workflow.timeout_ms is not None
    active = [t for t in tasks if t.status in {"Ready", "Running"} and t.sub_status != "Deferred"]
    attempted = [task for task in active if task.elements is None]
    if row.waits_since is not None:
        require(is_limited, "time stands still without a limit")
        require(not attempted, f"time stands still while {attempted} go on")
    elif is_limited and row.stopping is None and not active:
        deferred = [t for t in tasks if t.status == "Ready" and t.sub_status == "Deferred"]
        parked = [t for t in tasks if t.status == "Running" and t.sub_status == "Deferred"]
        require(parked or not deferred, f"time goes on while {row.id} only waits")
