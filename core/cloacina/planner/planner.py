"""The planner of one runner: every execution it owns, its slots, and what is due when.

Rules it upholds:

* a step changes only what it returns effects and unsaved changes for; effects may be carried out
  only after those changes are committed;
* an attempt takes a slot when it is recorded as running, and the slot comes back when its executor
  reports its end, however the attempt was settled meanwhile;
* a timer or a place in the queue may be out of date: what it finds decides.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import assert_never

from cloacina.model.states import (
    Answer,
    ExecutionStatus,
    StopReason,
    SubStatus,
    TaskStatus,
    Wish,
)
from cloacina.planner import decide, mapped, offers, wishes
from cloacina.planner.claims import Taken, Waiting
from cloacina.planner.effects import (
    AttemptSettled,
    Effect,
    ExecutionEnded,
    StopAttempt,
)
from cloacina.planner.events import (
    AttemptEnded,
    AttemptSaid,
    Claimed,
    Event,
    LimitsRead,
    Now,
    Requested,
    Submitted,
    TimePassed,
    Verdict,
)
from cloacina.planner.execution import ExecutionState, Reply, TaskState, restored
from cloacina.planner.expansion import NoListError
from cloacina.planner.offered import OffersSeen, SeenOffer, StopWish
from cloacina.planner.schedule import Limits, Schedule, Sources
from cloacina.planner.standing import Standing
from cloacina.planner.timers import Alarm, Timer
from cloacina.planner.withdrawal import take_back
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.throttle import UnknownKeyError


class Planner:
    """State of every execution that this runner owns. Not thread-safe: one thread steps it."""

    def __init__(self, *, limits: Limits, sources: Sources) -> None:
        """Plan within ``limits``."""
        self._schedule = Schedule(limits=limits, sources=sources)
        self._executions: dict[str, ExecutionState] = {}
        self._unsaved: dict[str, ExecutionState] = {}

    def step(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return the effects to carry out once ``take_unsaved`` is committed."""
        effects = self._take(event, now)
        self._offer(now)
        return effects

    def _take(self, event: Event, now: Now) -> list[Effect]:
        match event:
            case Submitted():
                return self._submit(event, now)
            case Claimed():
                return self._restore(event, now)
            case AttemptEnded():
                return self._end_attempt(event, now)
            case Requested():
                return self._grant(event, now)[0]
            case LimitsRead() | TimePassed():
                if isinstance(event, LimitsRead):
                    self._schedule.lanes.learn(event.taken)
                return self._wake(now)
            case OffersSeen():
                self._schedule.offers.set_window(event.peer_slots)
                return [effect for seen in event.offers for effect in self._see(seen, now)]
            case _:
                assert_never(event)

    def hear(self, event: AttemptSaid) -> None:
        """Take what an attempt said, if it is still running here."""
        execution = self._executions.get(event.execution_id)
        task = None if execution is None else execution.task(event.task_number)
        if execution is not None and task is not None and task.token == event.token:
            execution.unsaved.said += [(task.number, task.attempt, line) for line in event.lines]
            self._unsaved[execution.id] = execution

    def take_unsaved(self) -> list[ExecutionState]:
        """Return the executions that changed since the last call, for the store to write."""
        unsaved = list(self._unsaved.values())
        self._unsaved.clear()
        return unsaved

    def saved(self, execution: ExecutionState) -> None:
        """Take note that everything unsaved of ``execution`` is committed.

        What its attempts that ended held of limits is free from now on.
        """
        for end in execution.unsaved.ends:
            self._schedule.lanes.release(end.token)
        execution.mark_saved()
        if execution.status.is_final:
            self._executions.pop(execution.id, None)

    def start_nothing_more(self) -> None:
        """Let what runs end and start no further attempt; what is ready stays stored as ready."""
        self._schedule.close()

    def forget(self, execution_id: str) -> ExecutionState | None:
        """Drop an execution that is no longer this runner's."""
        self._unsaved.pop(execution_id, None)
        execution = self._executions.pop(execution_id, None)
        if execution is not None:
            ended = [end.token for end in execution.unsaved.ends]
            for token in [*ended, *(task.token or "" for task in execution.running)]:
                self._schedule.lanes.release(token)
        return execution

    def withdraw(self, tokens: Iterable[str], now: Now) -> list[Effect]:
        """Take back the slots of attempts that never began; return what follows, as ``step`` does."""
        for token in tokens:
            self._schedule.withdraw(token)
        effects = self._fill_slots(now)
        self._offer(now)
        return effects

    def concede(
        self, contested: Iterable[ExecutionState], claimed: Iterable[SeenOffer], now: Now
    ) -> None:
        """Give up offers that were claimed before their withdrawal could be written.

        What else is unsaved of the executions ``contested`` stays to be written.
        """
        known = {execution.id: execution for execution in contested}
        self._unsaved |= known
        for seen in claimed:
            execution = known[seen.execution_id]
            task = offers.concede(execution, seen, now.utc_us)
            if task.token is not None:
                self._watch_away(execution, task, now)

    @property
    def slots(self) -> Schedule:
        """The slots, for attempts of others: the end of such an attempt brings its slot back."""
        return self._schedule

    @property
    def has_offers(self) -> bool:
        """Whether there may be news of attempts that were offered to others."""
        return self._schedule.offers.is_any(self._executions)

    def is_running(self, execution_id: str, task_number: int, token: str) -> bool:
        """Whether an attempt is recorded as running in an execution of this runner."""
        execution = self._executions.get(execution_id)
        task = None if execution is None else execution.task(task_number)
        return task is not None and task.token == token

    def give_way(self, executions: Iterable[ExecutionState], taken: Taken, now: Now) -> None:
        """Take back those starts for which somebody else has the slot of a key or rate.

        Nothing of ``executions`` is committed; the rest of what they changed is offered again.
        """
        self._schedule.lanes.learn(taken)
        for execution in executions:
            self._unsaved[execution.id] = execution
            for start in list(execution.unsaved.starts):
                if taken.has_against(start.claim, start.token):
                    task = take_back(execution, start, now.utc_us)
                    self._schedule.withdraw(start.token)
                    if task is not None:
                        self._schedule.enqueue(execution, task)

    @property
    def awaited_keys(self) -> Collection[str]:
        """The concurrency keys that tasks here wait for while other runners hold them."""
        return self._schedule.lanes.awaited

    def take_freed(self) -> bool:
        """Return whether slots of keys were freed since the last call, for others to hear."""
        return self._schedule.lanes.take_freed()

    def waiting_for(self, execution_id: str, task_number: int) -> Waiting | None:
        """Return why a task that is ready does not start; ``None`` if it is not ready."""
        execution = self._executions.get(execution_id)
        return None if execution is None else self._schedule.waiting_for(execution, task_number)

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which ``TimePassed`` is wanted, if any."""
        return self._schedule.next_due_us

    @property
    def in_flight(self) -> int:
        """How many executions this runner has."""
        return len(self._executions)

    def owns(self, execution_id: str) -> bool:
        """Whether an execution is in flight here."""
        return execution_id in self._executions

    def standing(self, execution_id: str) -> Standing | None:
        """Return how an execution in flight here waits; ``None`` for any other."""
        execution = self._executions.get(execution_id)
        if execution is None:
            return None
        lanes = self._schedule.lanes
        limits = {n: lanes.waits_for(execution_id, n) for n in range(len(execution.tasks))}
        places = {
            task.number: self._schedule.slots.place_of(execution_id, task.number)
            for task in execution.tasks
            if task.status in {TaskStatus.READY, TaskStatus.NOT_STARTED} and not task.waiting_for
        }
        return Standing(
            free_slots=self._schedule.free_slots,
            is_closing=self._schedule.is_closing,
            queue={number: place for number, place in places.items() if place is not None},
            limits={number: limit for number, limit in limits.items() if limit is not None},
        )

    @property
    def stored(self) -> list[ExecutionState]:
        """Every execution in flight here that the database holds."""
        return [each for each in self._executions.values() if each.stored_status is not None]

    @property
    def running(self) -> Iterable[tuple[ExecutionState, TaskState]]:
        """Every attempt that is recorded as running here."""
        return (
            (execution, task)
            for execution in self._executions.values()
            for task in execution.running
            if task.runner is None
        )

    def _submit(self, event: Submitted, now: Now) -> list[Effect]:
        execution = ExecutionState(
            identity=event.identity,
            topology=event.topology,
            input_texts=event.input_texts,
            epoch=1,
            created_at_us=now.utc_us,
        )
        self._adopt(execution)
        execution.record("execution_submitted", now.utc_us)
        execution.move(ExecutionStatus.RUNNING)
        execution.started_at_us = now.utc_us
        self._schedule.limit(execution, now)
        ready = decide.grow(execution, execution.topology, now.utc_us)
        return self._advance(execution, ready, now)

    def _restore(self, event: Claimed, now: Now) -> list[Effect]:
        execution = restored(event.stored)
        self._adopt(execution)
        execution.record("execution_claimed", now.utc_us, detail=event.purpose)
        offers.adopt(execution, event.stored.offers, now.utc_us)
        ready = decide.restore(execution)
        if execution.started_at_us is None:
            ready += decide.begin(execution, now.utc_us)
        self._schedule.limit(execution, now)
        for task in list(execution.running):
            if task.runner is None or execution.stopping is not None:
                ready += decide.lose(execution, task, now.utc_us, self._schedule.max_losses)
        effects: list[Effect] = []
        if any(decide.calls_for_stop(execution, task) for task in execution.tasks):
            effects, ready = self._stop(execution, StopReason.FAIL_FAST, now), []
        effects += self._advance(execution, ready, now)
        for seen in event.stored.offers:
            task = execution.tasks[seen.task_number]
            if task.token is not None and task.token == seen.token:
                spent_us = max(0, now.utc_us - (seen.claimed_at_us or now.utc_us))
                self._watch_away(execution, task, now, spent_us)
                effects += self._see(seen, now)
        return effects

    def _see(self, seen: SeenOffer, now: Now) -> list[Effect]:
        """Take note of what somebody who claimed an offer has done with it."""
        execution = self._executions.get(seen.execution_id)
        if execution is None or seen.token is None or seen.runner is None:
            return []
        task = execution.tasks[seen.task_number]
        if task.sub_status is SubStatus.OFFERED and task.attempt + 1 == seen.attempt:
            self._unsaved[execution.id] = execution
            decide.start(execution, task, seen.token, now.utc_us, seen.runner)
            self._watch_away(execution, task, now)
        if task.token != seen.token:
            return []  # it was settled, or this turn took it back in vain
        if seen.result is not None:
            task.is_reported = True
            ended = AttemptEnded(
                execution_id=execution.id,
                task_number=task.number,
                token=seen.token,
                result=seen.result,
            )
            return self._end_attempt(ended, now)
        return [] if seen.is_runner_alive else self._lose(execution, task, now)

    def _lose(self, execution: ExecutionState, task: TaskState, now: Now) -> list[Effect]:
        ready = decide.lose(execution, task, now.utc_us, self._schedule.max_losses)
        if decide.calls_for_stop(execution, task):
            effects = self._stop(execution, StopReason.FAIL_FAST, now)
            return effects + self._advance(execution, [], now)
        return self._advance(execution, ready, now)

    def _watch_away(
        self, execution: ExecutionState, task: TaskState, now: Now, spent_us: int = 0
    ) -> None:
        """Limit the time of an attempt that another runner has."""
        self._schedule.offers.note_away(execution, task)
        self._schedule.limit_attempt(execution, task, now, spent_us)

    def _adopt(self, execution: ExecutionState) -> None:
        self.forget(execution.id)  # it was lost without our noticing, and is claimed again
        self._executions[execution.id] = execution
        self._unsaved[execution.id] = execution

    def _end_attempt(self, event: AttemptEnded, now: Now) -> list[Effect]:
        self._schedule.give_back(event.token)
        execution = self._executions.get(event.execution_id)
        task = None if execution is None else execution.task(event.task_number)
        if execution is None or task is None or task.token != event.token:
            return self._fill_slots(now)  # it was settled before it ended
        expansion = execution.expansion_of(task)
        result = event.result if expansion is None else expansion.checked(event.result)
        if isinstance(result, TaskFailure):
            return self._fail(execution, task, result, now)
        attempt = task.attempt
        ready = decide.succeed(execution, task, result, now.utc_us)
        settled = self._settled(execution, task, attempt, now)
        return [settled, *self._advance(execution, ready, now)]

    def _fail(
        self, execution: ExecutionState, task: TaskState, failure: TaskFailure, now: Now
    ) -> list[Effect]:
        attempt = task.attempt
        jitter = self._schedule.jitter()
        ready, delay_us = decide.fail(execution, task, failure, jitter, now.utc_us)
        if delay_us is not None:
            self._schedule.retry_after(execution, task, delay_us, now)
        effects: list[Effect] = [
            self._settled(execution, task, attempt, now, failure=failure, delay_us=delay_us)
        ]
        if decide.calls_for_stop(execution, task):
            effects += self._stop(execution, StopReason.FAIL_FAST, now)
            ready = []
        return effects + self._advance(execution, ready, now)

    @staticmethod
    def _settled(
        execution: ExecutionState,
        task: TaskState,
        attempt: int,
        now: Now,
        *,
        failure: TaskFailure | None = None,
        delay_us: int | None = None,
    ) -> AttemptSettled:
        return AttemptSettled(
            execution=execution,
            task_number=task.number,
            attempt=attempt,
            failure=failure,
            duration_us=max(0, now.utc_us - task.attempt_started_at_us),
            retry_delay_us=delay_us,
        )

    def grant(self, event: Requested, now: Now) -> tuple[list[Effect], Verdict | None]:
        """Do what is asked of an execution, as ``step`` does, and return the answer as well.

        There is none for an execution that is not in flight here.
        """
        granted = self._grant(event, now)
        self._offer(now)
        return granted

    def _grant(self, event: Requested, now: Now) -> tuple[list[Effect], Verdict | None]:
        execution = self._executions.get(event.execution_id)
        if execution is None:
            return [], None
        verdict = wishes.judge(execution, event)
        if event.command_id is not None:
            self._unsaved[execution.id] = execution
            execution.unsaved.replies.append(Reply(event.command_id, verdict, now.utc_us))
        if verdict.answer is not Answer.GRANTED:
            return [], verdict
        self._unsaved[execution.id] = execution
        return self._fulfil(execution, event, now), verdict

    def _fulfil(self, execution: ExecutionState, event: Requested, now: Now) -> list[Effect]:
        wish = Wish(event.wish)
        match wish:
            case Wish.CANCEL:
                effects = self._stop(execution, StopReason.CANCEL, now)
                return effects + self._advance(execution, [], now)
            case Wish.PAUSE:
                execution.move(ExecutionStatus.PAUSED)
                execution.record("execution_paused", now.utc_us)
                return []
            case Wish.RESUME:
                execution.move(ExecutionStatus.RUNNING)
                execution.record("execution_resumed", now.utc_us)
                # a delay that is not over has its timer, which a wall clock does not move
                ready = [t for t in execution.tasks if t.status is TaskStatus.READY]
                for expansion in execution.expansions.values():
                    ready += decide.waiting_elements(expansion)
                ready = [task for task in ready if task.due_at_us is None]
                return self._advance(execution, ready, now)
            case Wish.SET_PRIORITY:
                priority = wishes.priority_of(event)
                detail = f"{execution.identity.priority} -> {priority}"
                execution.identity = replace(execution.identity, priority=priority)
                execution.record("execution_priority_changed", now.utc_us, detail=detail)
                self._schedule.reprioritise(execution)
                return self._fill_slots(now)
            case Wish.MIGRATE:
                raise AssertionError("an execution is migrated in the database, not in the planner")
            case _:
                assert_never(wish)

    def _stop(self, execution: ExecutionState, reason: StopReason, now: Now) -> list[Effect]:
        """Cancel what did not start, ask what runs to end, and give it the time of grace."""
        self._unsaved[execution.id] = execution
        effects: list[Effect] = []
        for task in decide.stop(execution, reason, now.utc_us):
            effects += self._ask_to_end(execution, task, now, is_kill=False)
            self._schedule.give_grace(execution, task, now)
        return effects

    @staticmethod
    def _ask_to_end(
        execution: ExecutionState, task: TaskState, now: Now, *, is_kill: bool
    ) -> list[Effect]:
        if task.token is None:
            return []
        if task.runner is not None:  # it is killed when it finds its offer gone
            if not is_kill:
                wish = StopWish(task.number, task.attempt, task.token, now.utc_us)
                execution.offers.stops.append(wish)
            return []
        asked = StopAttempt(
            execution=execution, task_number=task.number, token=task.token, is_kill=is_kill
        )
        return [asked]

    def _wake(self, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        for timer in self._schedule.take_due(now):
            execution = self._executions.get(timer.execution_id)
            if execution is not None:
                effects += self._ring(timer, execution, now)
        return effects + self._fill_slots(now)

    def _ring(self, timer: Timer, execution: ExecutionState, now: Now) -> list[Effect]:
        if timer.task_number is None:
            if not execution.can_be_stopped or timer.attempt != execution.epoch:
                return []  # of an earlier run, if it was retried
            effects = self._stop(execution, StopReason.TIMEOUT, now)
            return effects + self._advance(execution, [], now)
        task = execution.task(timer.task_number)
        return [] if task is None else self._ring_for_task(timer, execution, task, now)

    def _ring_for_task(
        self, timer: Timer, execution: ExecutionState, task: TaskState, now: Now
    ) -> list[Effect]:
        if timer.alarm is Alarm.RETRY:
            if task.sub_status is SubStatus.RETRYING and timer.attempt == task.attempt:
                task.due_at_us = None  # over, whatever the wall clock says
                self._schedule.enqueue(execution, task)
            return []
        if task.token != timer.token:
            return []
        killed = self._ask_to_end(execution, task, now, is_kill=True)
        self._unsaved[execution.id] = execution
        if timer.alarm is Alarm.GRACE:
            decide.end_early(execution, task, self._schedule.given_up(execution, task), now.utc_us)
            return killed + self._advance(execution, [], now)
        return killed + self._fail(execution, task, self._schedule.timed_out(execution, task), now)

    def _advance(self, execution: ExecutionState, ready: list[TaskState], now: Now) -> list[Effect]:
        self._unsaved[execution.id] = execution
        effects, ready = self._expand(execution, ready, now)
        for task in ready:
            self._schedule.enqueue_when_due(execution, task, now)
        self._schedule.make_room(execution)
        effects += self._fill_slots(now)
        for task in ready:
            if task.status is TaskStatus.NOT_STARTED:
                decide.hold(execution, task, now.utc_us)
        if not execution.unfinished and not execution.status.is_final:
            decide.conclude(execution, now.utc_us, self._schedule.max_context_bytes)
            effects.append(ExecutionEnded(execution=execution))
        return effects

    def _expand(
        self, execution: ExecutionState, ready: list[TaskState], now: Now
    ) -> tuple[list[Effect], list[TaskState]]:
        """Begin the mapped tasks among ``ready``; return what is ready after that."""
        left, settled = deque(ready), list[TaskState]()
        effects: list[Effect] = []
        while left:
            task = left.popleft()
            how = None if task.parent is not None else execution.spec(task.number).mapped
            may_begin = task.elements is None and execution.status is ExecutionStatus.RUNNING
            try:
                if task.parent is None:
                    execution.concurrency_key(task.number)
                if how is None or not may_begin or self._schedule.is_closing:
                    settled.append(task)
                    continue
                expansion = mapped.expand(execution, task, how, now.utc_us)
            except (NoListError, UnknownKeyError) as error:
                kind = type(error).__name__.removesuffix("Error")
                left += decide.refuse(execution, task, kind, str(error), now.utc_us)
                if decide.calls_for_stop(execution, task):
                    return self._stop(execution, StopReason.FAIL_FAST, now), []
                continue
            if expansion.is_over:
                left += decide.finish_if_over(execution, expansion, now.utc_us)
            else:
                settled.append(task)
        return effects, settled

    def _offer(self, now: Now) -> None:
        for execution in self._schedule.offer_more(self._executions, now):
            self._unsaved[execution.id] = execution

    def _fill_slots(self, now: Now) -> list[Effect]:
        started = list(self._schedule.start_next(self._executions, now))
        for start in started:
            self._unsaved[start.execution.id] = start.execution
        return list(started)
