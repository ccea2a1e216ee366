"""The planner of one runner: every execution it owns, its slots, and what is due when.

Rules it upholds:

* a step changes only what it returns effects and unsaved changes for; effects may be carried out
  only after those changes are committed;
* an attempt takes a slot when it is recorded as running, and the slot comes back when its executor
  reports its end, however the attempt was settled meanwhile;
* a timer or a place in the queue may be out of date: what it finds decides.
"""

from collections.abc import Collection, Iterable
from typing import assert_never

from cloacina.planner import arrival, asked, away, deferral, standstill
from cloacina.planner.effects import Effect
from cloacina.planner.events import (
    AttemptAsked,
    AttemptEnded,
    AttemptSaid,
    Claimed,
    ConditionTold,
    Event,
    LimitsRead,
    Now,
    Requested,
    Submitted,
    TimePassed,
    Verdict,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.grant import grant
from cloacina.planner.moves.withdrawal import take_back
from cloacina.planner.offered import OffersSeen, SeenOffer
from cloacina.planner.progress import Progress
from cloacina.planner.queue import waiting
from cloacina.planner.queue.claims import Taken, Waiting
from cloacina.planner.queue.limits import Limits, Sources
from cloacina.planner.queue.schedule import Schedule
from cloacina.planner.queue.standing import Standing
from cloacina.planner.task import TaskState
from cloacina.planner.wake import wake
from cloacina_sdk.waiting import Wait


class Planner:
    """State of every execution that this runner owns. Not thread-safe: one thread steps it."""

    def __init__(self, *, limits: Limits, sources: Sources) -> None:
        """Plan within ``limits``."""
        self._schedule = Schedule(limits=limits, sources=sources)
        self._progress = Progress(self._schedule)
        self._in_flight = self._progress.in_flight

    def step(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return the effects to carry out once ``take_unsaved`` is committed."""
        effects = self._take(event, now)
        self._finish_step(now)
        return effects

    def _finish_step(self, now: Now) -> None:
        self._progress.offer(now)
        if self._in_flight.clocked:
            for execution in self._in_flight.clocked.values():
                standstill.note(self._schedule, execution, now)
            self._in_flight.clocked.clear()

    def _take(self, event: Event, now: Now) -> list[Effect]:
        match event:
            case AttemptEnded():
                return self._end_attempt(event, now)
            case Submitted():
                return arrival.submit(self._progress, event, now)
            case Claimed():
                return arrival.claim(self._progress, event, now)
            case Requested():
                return grant(self._progress, event, now)[0]
            case LimitsRead() | TimePassed():
                if isinstance(event, LimitsRead):
                    self._schedule.lanes.learn(event.taken)
                return wake(self._progress, now)
            case _:
                return self._take_rarely(event, now)

    def _end_attempt(self, event: AttemptEnded, now: Now) -> list[Effect]:
        if isinstance(event.result, Wait):
            return deferral.defer(self._progress, event, event.result, now)
        return self._progress.end_attempt(event, now)

    def _take_rarely(
        self, event: AttemptAsked | ConditionTold | OffersSeen, now: Now
    ) -> list[Effect]:
        match event:
            case OffersSeen():
                self._schedule.offers.set_window(event.peer_slots)
                seen = event.offers
                return [effect for each in seen for effect in away.see(self._progress, each, now)]
            case AttemptAsked():
                return asked.ask(self._progress, event, now)
            case ConditionTold():
                return deferral.hear(self._progress, event, now)
            case _:
                assert_never(event)

    def grant(self, event: Requested, now: Now) -> tuple[list[Effect], Verdict | None]:
        """Do what is asked of an execution, as ``step`` does, and return the answer as well.

        There is none for an execution that is not in flight here.
        """
        granted = grant(self._progress, event, now)
        self._finish_step(now)
        return granted

    def hear(self, event: AttemptSaid) -> None:
        """Take what an attempt said, if it is still running here."""
        found = self._in_flight.attempt(event.execution_id, event.task_number, event.token)
        if found is not None:
            execution, task = found
            execution.unsaved.said += [(task.number, task.attempt, line) for line in event.lines]
            self._in_flight.mark(execution)

    def take_unsaved(self) -> list[ExecutionState]:
        """Return the executions that changed since the last call, for the store to write."""
        return self._in_flight.take_unsaved()

    def saved(self, execution: ExecutionState) -> None:
        """Take note that everything unsaved of ``execution`` is committed.

        What its attempts that ended held of limits is free from now on.
        """
        for end in execution.unsaved.ends:
            self._schedule.lanes.release(end.token)
        execution.mark_saved()
        if execution.status.is_final:
            self._in_flight.let_go(execution)

    def withdraw(self, tokens: Iterable[str], now: Now) -> list[Effect]:
        """Take back the slots of attempts that never began; return what follows, as ``step`` does."""
        for token in tokens:
            self._schedule.withdraw(token)
        effects = self._progress.fill_slots(now)
        self._progress.offer(now)
        return effects

    def concede(
        self, contested: Iterable[ExecutionState], claimed: Iterable[SeenOffer], now: Now
    ) -> None:
        """Give up offers that were claimed before their withdrawal could be written.

        What else is unsaved of the executions ``contested`` stays to be written.
        """
        away.give_up(self._progress, contested, claimed, now)

    def give_way(self, executions: Iterable[ExecutionState], taken: Taken, now: Now) -> None:
        """Take back those starts for which somebody else has the slot of a key or rate.

        Nothing of ``executions`` is committed; the rest of what they changed is offered again.
        """
        self._schedule.lanes.learn(taken)
        for execution in executions:
            self._in_flight.mark(execution)
            for start in list(execution.unsaved.starts):
                if taken.has_against(start.claim, start.token):
                    task = take_back(execution, start, now.utc_us)
                    self._schedule.withdraw(start.token)
                    if task is not None:
                        self._schedule.enqueue(execution, task)

    def forget(self, execution_id: str) -> ExecutionState | None:
        """Drop an execution that is no longer this runner's."""
        return self._progress.forget(execution_id)

    def release_parked(self, now: Now) -> list[Effect]:
        """Let go of attempts that wait where they are; return what follows, as ``step`` does."""
        effects = asked.release(self._progress, now)
        self._finish_step(now)
        return effects

    def start_nothing_more(self) -> None:
        """Let what runs end and start no further attempt; what is ready stays stored as ready."""
        self._schedule.close()

    @property
    def slots(self) -> Schedule:
        """The slots, for attempts of others: the end of such an attempt brings its slot back."""
        return self._schedule

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which ``TimePassed`` is wanted, if any."""
        return self._schedule.deadlines.next_due_us

    @property
    def has_offers(self) -> bool:
        """Whether there may be news of attempts that were offered to others."""
        return self._schedule.offers.is_any(self._in_flight.by_id)

    @property
    def awaited_keys(self) -> Collection[str]:
        """The concurrency keys that tasks here wait for while other runners hold them."""
        return self._schedule.lanes.awaited

    def take_freed(self) -> bool:
        """Return whether slots of keys were freed since the last call, for others to hear."""
        return self._schedule.lanes.take_freed()

    @property
    def in_flight(self) -> int:
        """How many executions this runner has."""
        return len(self._in_flight)

    def owns(self, execution_id: str) -> bool:
        """Whether an execution is in flight here."""
        return execution_id in self._in_flight

    @property
    def stored(self) -> list[ExecutionState]:
        """Every execution in flight here that the database holds."""
        return self._in_flight.stored

    @property
    def running(self) -> Iterable[tuple[ExecutionState, TaskState]]:
        """Every attempt that is recorded as running here."""
        return self._in_flight.running

    def is_running(self, execution_id: str, task_number: int, token: str) -> bool:
        """Whether an attempt is recorded as running in an execution of this runner."""
        return self._in_flight.attempt(execution_id, task_number, token) is not None

    def standing(self, execution_id: str) -> Standing | None:
        """Return how an execution in flight here waits; ``None`` for any other."""
        execution = self._in_flight.get(execution_id)
        return None if execution is None else waiting.standing(self._schedule, execution)

    def waiting_for(self, execution_id: str, task_number: int) -> Waiting | None:
        """Return why a task that is ready does not start; ``None`` if it is not ready."""
        execution = self._in_flight.get(execution_id)
        if execution is None:
            return None
        return waiting.waiting_for(self._schedule, execution, task_number)
