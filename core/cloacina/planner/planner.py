"""The planner of one runner: every execution it owns, its slots, and what is due when.

Rules it upholds:

* a step changes only what it returns effects and unsaved changes for; effects may be carried out
  only after those changes are committed;
* an attempt takes a slot when it is recorded as running and returns it when its end is taken;
* among waiting tasks the higher priority starts first, then the older execution.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import assert_never

from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus, SubStatus, TaskStatus
from cloacina.planner import decide
from cloacina.planner.effects import AttemptSettled, Effect, ExecutionEnded, StartAttempt
from cloacina.planner.events import (
    AttemptEnded,
    Claimed,
    Event,
    Now,
    Submitted,
    TimePassed,
)
from cloacina.planner.execution import ExecutionState, TaskState, restored
from cloacina_sdk.outcome import TaskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the planner's few unpredictable values come from."""

    new_token: Callable[[], str]
    jitter: Callable[[], float]
    """Draws from [0, 1)."""


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """A ready task's place in the queue for slots."""

    descending_priority: int
    execution_age: int
    arrival: int
    execution: ExecutionState = field(compare=False)
    task_number: int = field(compare=False)


class Planner:
    """State of every execution that this runner owns. Not thread-safe: one thread steps it."""

    def __init__(self, *, slots: int, sources: Sources) -> None:
        """``slots`` is how many attempts may run at once."""
        self._free_slots = slots
        self._sources = sources
        self._executions: dict[str, ExecutionState] = {}
        self._queue: list[_Place] = []
        self._timers: list[tuple[int, int, ExecutionState, int]] = []
        self._arrivals = 0
        self._is_stopping = False
        self._unsaved: dict[str, ExecutionState] = {}

    def step(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return the effects to carry out once ``take_unsaved`` is committed."""
        match event:
            case Submitted():
                return self._submit(event, now)
            case Claimed():
                return self._restore(event, now)
            case AttemptEnded():
                return self._end_attempt(event, now)
            case TimePassed():
                return self._wake(now)
            case _:
                assert_never(event)

    def take_unsaved(self) -> list[ExecutionState]:
        """Return the executions that changed since the last call, for the store to write."""
        unsaved = list(self._unsaved.values())
        self._unsaved.clear()
        return unsaved

    def saved(self, execution: ExecutionState) -> None:
        """Take note that everything unsaved of ``execution`` is committed."""
        for task in execution.unsaved.tasks.values():
            task.stored = (task.status, task.attempt)
        execution.stored_status = execution.status
        execution.unsaved = type(execution.unsaved)()
        if execution.status.is_final:
            self._executions.pop(execution.id, None)

    def start_nothing_more(self) -> None:
        """Let what runs end and start no further attempt; what is ready stays stored as ready."""
        self._is_stopping = True

    def forget(self, execution_id: str) -> ExecutionState | None:
        """Drop an execution that is no longer this runner's, and give back its slots."""
        execution = self._executions.pop(execution_id, None)
        self._unsaved.pop(execution_id, None)
        if execution is not None:
            self._free_slots += sum(t.status is TaskStatus.RUNNING for t in execution.tasks)
        return execution

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which ``TimePassed`` is wanted, if any."""
        return self._timers[0][0] if self._timers else None

    def owns(self, execution_id: str) -> bool:
        """Whether an execution is in flight here."""
        return execution_id in self._executions

    @property
    def running(self) -> Iterable[tuple[ExecutionState, TaskState]]:
        """Every attempt that is recorded as running."""
        return (
            (execution, task)
            for execution in self._executions.values()
            for task in execution.tasks
            if task.status is TaskStatus.RUNNING
        )

    def _submit(self, event: Submitted, now: Now) -> list[Effect]:
        execution = ExecutionState(
            identity=event.identity,
            topology=event.topology,
            input_texts=event.input_texts,
            epoch=1,
            created_at_us=now.utc_us,
        )
        self._executions[execution.id] = execution
        self._unsaved[execution.id] = execution
        execution.record("execution_submitted", now.utc_us)
        execution.move(ExecutionStatus.RUNNING)
        execution.started_at_us = now.utc_us
        ready = decide.grow(execution, execution.topology, now.utc_us)
        return self._advance(execution, ready, now)

    def _restore(self, event: Claimed, now: Now) -> list[Effect]:
        execution = restored(event.stored)
        self.forget(execution.id)  # lost without our noticing, and ours again
        execution.record("execution_claimed", now.utc_us)
        self._executions[execution.id] = execution
        self._unsaved[execution.id] = execution
        ready = decide.restore(execution)
        for task in execution.tasks:
            if task.token is not None:
                ready += decide.lose(execution, task, now.utc_us)
        return self._advance(execution, ready, now)

    def _end_attempt(self, event: AttemptEnded, now: Now) -> list[Effect]:
        execution = self._executions.get(event.execution_id)
        if execution is None:
            return []  # forgotten: its slots went back then
        task = execution.tasks[event.task_number]
        if task.token != event.token:
            return []  # a report of an attempt that was given up
        self._free_slots += 1
        self._unsaved[execution.id] = execution
        attempt, failure, delay_us = task.attempt, None, None
        if isinstance(event.result, TaskFailure):
            failure = event.result
            jitter = self._sources.jitter()
            ready, delay_us = decide.fail(execution, task, failure, jitter, now.utc_us)
            if delay_us is not None:
                self._wake_later(execution, task, now.monotonic_us + delay_us)
        else:
            ready = decide.succeed(execution, task, event.result, now.utc_us)
        settled = AttemptSettled(
            execution=execution,
            task_number=task.number,
            attempt=attempt,
            failure=failure,
            duration_us=max(0, now.utc_us - task.attempt_started_at_us),
            retry_delay_us=delay_us,
        )
        return [settled, *self._advance(execution, ready, now)]

    def _wake(self, now: Now) -> list[Effect]:
        while self._timers and self._timers[0][0] <= now.monotonic_us:
            _, _, execution, number = heappop(self._timers)
            task = execution.tasks[number]
            if self._is_current(execution) and task.sub_status is SubStatus.RETRYING:
                self._enqueue(execution, task)
        return self._fill_slots(now)

    def _advance(self, execution: ExecutionState, ready: list[TaskState], now: Now) -> list[Effect]:
        for task in ready:
            if task.sub_status is SubStatus.RETRYING and task.due_at_us is not None:
                # the wall clock may have been set since: no delay is longer than the policy's
                longest_us = execution.topology.tasks[task.number].retry.max_delay_ms * 1000
                wait_us = min(max(0, task.due_at_us - now.utc_us), longest_us)
                self._wake_later(execution, task, now.monotonic_us + wait_us)
            else:
                self._enqueue(execution, task)
        effects: list[Effect] = self._fill_slots(now)
        for task in ready:
            if task.status is TaskStatus.NOT_STARTED:
                decide.hold(execution, task, now.utc_us)
        if not execution.unfinished:
            decide.conclude(execution, now.utc_us)
            effects.append(ExecutionEnded(execution=execution))
        return effects

    def _enqueue(self, execution: ExecutionState, task: TaskState) -> None:
        self._arrivals += 1
        place = _Place(
            -execution.identity.priority,
            execution.created_at_us,
            self._arrivals,
            execution,
            task.number,
        )
        heappush(self._queue, place)

    def _fill_slots(self, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        while self._free_slots and self._queue and not self._is_stopping:
            place = heappop(self._queue)
            execution = place.execution
            if not self._is_current(execution):
                continue
            task = execution.tasks[place.task_number]
            token = self._sources.new_token()
            decide.start(execution, task, token, now.utc_us)
            self._free_slots -= 1
            self._unsaved[execution.id] = execution
            effects.append(
                StartAttempt(
                    execution=execution,
                    task_number=task.number,
                    attempt=task.attempt,
                    token=token,
                    texts=texts_of(execution.view(task.number)),
                )
            )
        return effects

    def _wake_later(self, execution: ExecutionState, task: TaskState, due_us: int) -> None:
        self._arrivals += 1
        heappush(self._timers, (due_us, self._arrivals, execution, task.number))

    def _is_current(self, execution: ExecutionState) -> bool:
        """Whether this very state is planned with: not forgotten, and not claimed afresh since."""
        return self._executions.get(execution.id) is execution
