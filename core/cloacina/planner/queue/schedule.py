"""When and whether attempts start: limits, slots, the queue for them, and timers."""

from collections.abc import Iterator, Mapping

from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus
from cloacina.planner.effects import AnswerAsk, StartAttempt
from cloacina.planner.events import Identity, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import attempt, mapped, wait
from cloacina.planner.offers import Offers
from cloacina.planner.queue import overdue
from cloacina.planner.queue.claims import NOTHING, Claim
from cloacina.planner.queue.deadlines import Deadlines
from cloacina.planner.queue.lanes import Lanes
from cloacina.planner.queue.limits import Limits, Sources
from cloacina.planner.queue.pools import Pool
from cloacina.planner.queue.slots import Place, Slots
from cloacina.planner.task import TaskState
from cloacina_sdk.executor import Reply
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import TaskSpec


class Schedule:
    """The slots and timers of one runner."""

    def __init__(self, *, limits: Limits, sources: Sources) -> None:
        """Start within ``limits``."""
        self.limits = limits
        self._sources = sources
        self._slots = Slots(limits.slots)
        self.offers = Offers(self._slots)
        self.deadlines = Deadlines(limits)
        self.lanes = Lanes()
        self.is_closing = False
        """Whether nothing more is to start."""

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
        return self.limits.pools.pool_of(execution.identity, execution.spec(task.number))

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
        return self.limits.pools.pool_of(identity, task)

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
            self.deadlines.retry_after(execution, task, wait_us, now)
        else:
            task.due_at_us = None  # over, whatever the wall clock says from now on
            self.enqueue(execution, task)

    def park(self, task: TaskState, now: Now) -> None:
        """Take the slot of an attempt that goes on waiting without one; its time stands still."""
        self._slots.give_back(task.token or "")
        self.deadlines.hold_attempt(task, now)

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
            self.deadlines.attempt_limit_us(execution, task) or 0,
            has_ended=has_ended,
            grace_us=self.limits.grace_us if task.is_overdue else None,
        )

    def given_up(self, execution: ExecutionState, task: TaskState) -> TaskFailure:
        """Return the failure of an attempt that was asked to end and did not."""
        return overdue.given_up(self.pool_of(execution, task), self.limits.grace_us)

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
            self.deadlines.look_at_window(due_us)

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
        if place.descending_priority != -execution.identity.priority and not task.is_offered:
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
        self.deadlines.go_on_with_attempt(execution, task, now)
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
        key, rate_key = execution.concurrency_key(number), execution.rate_key(number)
        return self.lanes.admit(place, throttle, key, rate_key, now)

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
        spec = execution.spec(task.number)
        self.lanes.take(token, claim, spec.throttle)
        self.deadlines.limit_attempt(execution, task, now)
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
            memory=wait.told_to(execution, task) if spec.takes_handle else None,
        )
