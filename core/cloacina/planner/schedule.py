"""When and whether attempts start: limits, slots, the queue for them, and timers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus
from cloacina.planner import overdue
from cloacina.planner.claims import NOTHING, Claim
from cloacina.planner.effects import AnswerAsk, StartAttempt
from cloacina.planner.events import Identity, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.lanes import Lanes
from cloacina.planner.moves import attempt, mapped, wait
from cloacina.planner.offers import Offers
from cloacina.planner.pools import OnePool, Pool, Pools
from cloacina.planner.slots import Place, Slots
from cloacina.planner.task import TaskState
from cloacina.planner.timers import Alarm, Timer, Timers
from cloacina_sdk.executor import Reply
from cloacina_sdk.mapped import Element
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the planner's few unpredictable values come from."""

    new_token: Callable[[], str]
    jitter: Callable[[], float]
    """Draws from [0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a runner allows.

    Attributes:
        slots: how many attempts may run at once.
        attempt_timeout_us: for tasks that name none of their own; ``None`` for no limit.
        grace_us: between asking an attempt to end and giving it up.
        pools: what limits attempts beside the slots.
        max_losses: how many attempts of a task may be lost with their runner before the task is
            given up.
        max_context_bytes: how large the context may be that an execution ends with; 0 for no limit.
    """

    slots: int
    attempt_timeout_us: int | None = None
    grace_us: int = 5_000_000
    pools: Pools = field(default_factory=OnePool)
    max_losses: int = 5
    max_context_bytes: int = 0


class Schedule:
    """The slots and timers of one runner."""

    def __init__(self, *, limits: Limits, sources: Sources) -> None:
        """Start within ``limits``."""
        self._limits = limits
        self._sources = sources
        self._slots = Slots(limits.slots)
        self.offers = Offers(self._slots)
        self._timers = Timers()
        self.lanes = Lanes()
        self.is_closing = False
        """Whether nothing more is to start."""

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which the next timer rings, if there is one."""
        return self._timers.next_due_us

    @property
    def max_losses(self) -> int:
        """How many attempts of a task may be lost with their runner before it is given up."""
        return self._limits.max_losses

    @property
    def max_context_bytes(self) -> int:
        """How large the context may be that an execution ends with; 0 for no limit."""
        return self._limits.max_context_bytes

    @property
    def max_slots(self) -> int:
        """How many attempts may run at once."""
        return self._limits.slots

    @property
    def free_slots(self) -> int:
        """How many attempts may start now."""
        return self._slots.free

    @property
    def slots(self) -> Slots:
        """Who may run."""
        return self._slots

    def reprioritise(self, execution: ExecutionState) -> None:
        """Have all that waits of an execution wait where its priority puts it now."""
        priority = execution.identity.priority
        self._slots.reprioritise(execution.id, priority)
        self.offers.reprioritise(execution.id, priority)
        self.lanes.reprioritise(execution.id, priority)
        for expansion in execution.expansions.values():
            for number, place in expansion.waiting.items():
                expansion.waiting[number] = place.at(priority)

    def pool_of(self, execution: ExecutionState, task: TaskState) -> Pool:
        """Return where a task's attempts run."""
        return self._limits.pools.pool_of(execution.identity, execution.spec(task.number))

    def new_token(self) -> str:
        """Return a token that no attempt had before."""
        return self._sources.new_token()

    def jitter(self) -> float:
        """Draw from [0, 1)."""
        return self._sources.jitter()

    def close(self) -> None:
        """Start nothing more."""
        self.is_closing = True

    def give_back(self, token: str) -> None:
        """Take the slot of an attempt whose executor reported its end."""
        self._slots.give_back(token)

    def withdraw(self, token: str) -> None:
        """Take everything back from an attempt that never began."""
        self._slots.give_back(token)
        self.lanes.release(token)

    def pool_for(self, identity: Identity, task: TaskSpec) -> Pool:
        """Return the pool of a task's attempts, whoever plans its execution."""
        return self._limits.pools.pool_of(identity, task)

    def room_in(self, pool: Pool) -> int:
        """Return how many attempts of a pool could start now."""
        return 0 if self.is_closing else self._slots.room_in(pool)

    def lend(self, token: str, pool: Pool) -> None:
        """Give a slot to an attempt of another runner's execution; its end brings it back."""
        self._slots.take(token, pool)

    def enqueue(self, execution: ExecutionState, task: TaskState) -> None:
        """Queue a task for a slot; a mapped task stands for its next element."""
        expansion = execution.expansion_of(task)
        if expansion is not None and task.parent is None:
            if expansion.is_queued:
                return
            expansion.is_queued = True
        spec = execution.spec(task.number)
        self._slots.wait(
            execution.id,
            task.number,
            pool=self.pool_of(execution, task),
            priority=execution.identity.priority,
            age_us=execution.created_at_us,
            stays=spec.mapped is not None or spec.throttle is not None or spec.takes_handle,
        )

    def enqueue_when_due(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Queue a task for a slot, once the delay of its retry is over if it has one."""
        wait_us = 0 if task.due_at_us is None else task.due_at_us - now.utc_us
        if task.longest_wait_us is not None:
            wait_us = min(wait_us, task.longest_wait_us)
        if wait_us > 0:
            self.retry_after(execution, task, wait_us, now)
        else:
            task.due_at_us = None  # over, whatever the wall clock says from now on
            self.enqueue(execution, task)

    def retry_after(
        self, execution: ExecutionState, task: TaskState, delay_us: int, now: Now
    ) -> None:
        """Ring when the delay of a task's retry is over."""
        self._timers.arm(Alarm.RETRY, now.monotonic_us + delay_us, execution.id, task=task)

    def give_grace(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when an attempt that was asked to end had its time to do so."""
        due_us = now.monotonic_us + self._limits.grace_us
        self._timers.arm(Alarm.GRACE, due_us, execution.id, task=task)

    def limit(self, execution: ExecutionState, now: Now) -> None:
        """Ring when an execution has taken as long as its workflow allows, if it says so."""
        limit_ms = execution.topology.workflow.timeout_ms
        if limit_ms is not None and execution.started_at_us is not None:
            left_us = execution.time_left_us
            if left_us is None:
                spent_us = max(0, now.utc_us - execution.started_at_us - execution.waited_us)
                left_us = max(0, limit_ms * 1000 - spent_us)
            due_us = now.monotonic_us + left_us
            execution.times_out_at_us, execution.time_left_us = due_us, None
            self._timers.arm(Alarm.EXECUTION_TIMEOUT, due_us, execution.id, epoch=execution.epoch)

    def suspend(self, execution: ExecutionState, now: Now) -> None:
        """Have the time that a workflow allows stand still until ``limit`` is called again."""
        if execution.times_out_at_us is not None:
            execution.time_left_us = max(0, execution.times_out_at_us - now.monotonic_us)
            execution.times_out_at_us = None

    def limit_wait(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when a task's wait is over, or is to be given up, if it has such a moment."""
        begun = task.memory.open
        if begun is not None and begun.until_us is not None and begun.longest_us is not None:
            left_us = min(begun.until_us - now.utc_us, begun.longest_us)
            self._timers.arm(Alarm.WAIT, now.monotonic_us + left_us, execution.id, task=task)

    def poll_later(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when the condition that a task waits for is to be called again."""
        begun = task.memory.open
        if begun is not None and begun.poll_us is not None:
            self._timers.arm(Alarm.POLL, now.monotonic_us + begun.poll_us, execution.id, task=task)

    def limit_attempt(
        self, execution: ExecutionState, task: TaskState, now: Now, spent_us: int = 0
    ) -> None:
        """Ring when an attempt has taken as long as it may, ``spent_us`` of which are over."""
        limit_us = self.attempt_limit_us(execution, task)
        if limit_us is not None:
            due_us = now.monotonic_us + max(0, limit_us - spent_us)
            task.times_out_at_us = due_us
            self._timers.arm(Alarm.ATTEMPT_TIMEOUT, due_us, execution.id, task=task)

    def park(self, task: TaskState, now: Now) -> None:
        """Take the slot of an attempt that goes on waiting without one; its time stands still."""
        self._slots.give_back(task.token or "")
        if task.times_out_at_us is not None:
            task.time_left_us = max(0, task.times_out_at_us - now.monotonic_us)
            task.times_out_at_us = None

    def take_due(self, now: Now) -> Iterator[Timer]:
        """Remove and yield the timers that ring."""
        return self._timers.take_due(now.monotonic_us)

    def attempt_limit_us(self, execution: ExecutionState, task: TaskState) -> int | None:
        """Return how long an attempt of a task may take."""
        own_ms = execution.spec(task.number).timeout_ms
        return self._limits.attempt_timeout_us if own_ms is None else own_ms * 1000

    def offer_more(
        self, executions: Mapping[str, ExecutionState], now: Now
    ) -> list[ExecutionState]:
        """Offer to others what has no slot here; return the executions that this changes."""
        if self.is_closing:
            return self.offers.tidy(executions)
        return self.offers.fill(executions, now)

    def timed_out(
        self, execution: ExecutionState, task: TaskState, *, has_ended: bool = False
    ) -> TaskFailure:
        """Return the failure of an attempt that took as long as it may."""
        return overdue.timed_out(
            self.pool_of(execution, task),
            self.attempt_limit_us(execution, task) or 0,
            has_ended=has_ended,
            grace_us=self._limits.grace_us if task.is_overdue else None,
        )

    def given_up(self, execution: ExecutionState, task: TaskState) -> TaskFailure:
        """Return the failure of an attempt that was asked to end and did not."""
        return overdue.given_up(self.pool_of(execution, task), self._limits.grace_us)

    def start_next(
        self, executions: Mapping[str, ExecutionState], now: Now
    ) -> Iterator[StartAttempt | AnswerAsk]:
        """Start tasks in turn while there are slots, and let go on those that were parked."""
        while not self.is_closing:
            for waiting in self.lanes.let_go(now):
                self._slots.put_back(waiting)
            place = self.offers.next_in_turn(now)
            if place is None:
                break
            self.lanes.came(place)
            execution = executions.get(place.execution_id)
            start = None if execution is None else self._start_at(place, execution, now)
            if start is not None:
                yield start
        for due_us in self.lanes.next_windows(now):
            self._timers.arm(Alarm.WINDOW, due_us, "")

    def make_room(self, execution: ExecutionState) -> None:
        """Let elements that waited for others of their task to end queue again, as far as may run."""
        for expansion in execution.expansions.values():
            room = (expansion.mapped.max_parallel or 0) - expansion.running
            while room > 0 and expansion.waiting:
                number, place = next(iter(expansion.waiting.items()))
                del expansion.waiting[number]
                if number == expansion.parent.number or number in expansion.open:
                    self._slots.put_back(place)
                    room -= 1

    def _start_at(
        self, place: Place, execution: ExecutionState, now: Now
    ) -> StartAttempt | AnswerAsk | None:
        """Start what a place in the queue stands for, or let it go on, if that can be."""
        task = execution.task(place.task_number)
        if task is None:
            return None
        if place.priority != execution.identity.priority and not task.is_offered:
            # it was lost, somebody else changed its priority, and it was claimed again
            self._slots.put_back(place.at(execution.identity.priority))
            return None
        if task.unpark_ask is not None:
            return self._unpark(execution, task, task.unpark_ask, place.pool, now)
        return self._start_task_at(place, execution, task, now)

    def _start_task_at(
        self, place: Place, execution: ExecutionState, task: TaskState, now: Now
    ) -> StartAttempt | None:
        expansion = execution.expansion_of(task)
        is_next = expansion is not None and task is expansion.parent
        if expansion is not None and is_next:
            expansion.is_queued = False
            is_startable = expansion.has_more
        else:
            is_startable = task.is_startable(now.utc_us)
        if execution.status is not ExecutionStatus.RUNNING or not is_startable:
            return None
        if expansion is not None:
            expansion.is_queued = expansion.is_queued or is_next
            if not expansion.has_room:
                expansion.waiting[place.task_number] = place
                return None
        claim = self._admit(place, execution, task, now)
        if claim is None:
            return None
        if expansion is not None and is_next:
            task = mapped.next_element(expansion)
            expansion.is_queued = expansion.has_more
            if expansion.has_more:
                self._slots.put_back(place)
        return self._start(execution, task, place.pool, claim, now)

    def _unpark(
        self, execution: ExecutionState, task: TaskState, number: int, pool: Pool, now: Now
    ) -> AnswerAsk:
        self._slots.take(task.token or "", pool)
        if task.time_left_us is not None:
            task.times_out_at_us = now.monotonic_us + task.time_left_us
            self._timers.arm(Alarm.ATTEMPT_TIMEOUT, task.times_out_at_us, execution.id, task=task)
            task.time_left_us = None
        wait.unpark(execution, task, now.utc_us)
        return AnswerAsk(execution=execution, number=number, reply=Reply.DONE)

    def _admit(
        self, place: Place, execution: ExecutionState, task: TaskState, now: Now
    ) -> Claim | None:
        """Return what an attempt may hold of keys and rates; ``None`` if it has to wait for one."""
        number = task.number if task.parent is None else task.parent
        throttle = execution.topology.tasks[number].throttle
        if throttle is None:
            return NOTHING
        identity = execution.identity
        named = TaskNamespace(
            identity.tenant,
            identity.package,
            identity.workflow,
            execution.topology.tasks[number].id,
        )
        return self.lanes.admit(place, throttle, execution.concurrency_key(number), str(named), now)

    def _start(
        self,
        execution: ExecutionState,
        task: TaskState,
        pool: Pool,
        claim: Claim,
        now: Now,
    ) -> StartAttempt:
        token = self._sources.new_token()
        attempt.start(execution, task, token, now.utc_us, claim=claim)
        self._slots.take(token, pool)
        self.lanes.take(token, claim, execution.spec(task.number).throttle)
        self.limit_attempt(execution, task, now)
        element: Element | None = None
        texts: Mapping[str, str]
        expansion = execution.expansion_of(task)
        if expansion is None:
            texts = texts_of(execution.views.seen_by(task.number))
        else:
            texts = mapped.texts_of_elements(execution, expansion)
            element = expansion.element(task)
        return StartAttempt(
            execution=execution,
            task_number=task.number,
            attempt=task.attempt,
            token=token,
            texts=texts,
            element=element,
            memory=wait.told_to(execution, task)
            if execution.spec(task.number).takes_handle
            else None,
        )
