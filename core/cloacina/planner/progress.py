"""Move a runner's executions on: what ended is settled, what follows is queued, slots are filled."""

from collections import deque

from cloacina.model.states import ExecutionStatus, StopReason, TaskStatus
from cloacina.planner.effects import AttemptSettled, Effect, ExecutionEnded, StopAttempt
from cloacina.planner.events import AttemptEnded, Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import NoListError
from cloacina.planner.in_flight import InFlight
from cloacina.planner.moves import conclude, decide, finish, mapped, settle, stop
from cloacina.planner.offered import StopWish
from cloacina.planner.queue.schedule import Schedule
from cloacina.planner.task import TaskState
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.throttle import UnknownKeyError
from cloacina_sdk.waiting import Wait


class Progress:
    """The executions of one runner and their schedule: whatever changes one of them marks it."""

    def __init__(self, schedule: Schedule) -> None:
        """Begin without executions."""
        self.schedule = schedule
        self.in_flight = InFlight()

    def adopt(self, execution: ExecutionState) -> None:
        """Take an execution in."""
        self.forget(execution.id)  # it was lost without our noticing, and is claimed again
        self.in_flight.add(execution)

    def forget(self, execution_id: str) -> ExecutionState | None:
        """Drop an execution that is no longer this runner's, with all that its attempts hold."""
        execution = self.in_flight.drop(execution_id)
        if execution is not None:
            ended = [end.token for end in execution.unsaved.ends]
            for token in [*ended, *(task.token or "" for task in execution.running)]:
                self.schedule.lanes.release(token)
        return execution

    def advance(self, execution: ExecutionState, ready: list[TaskState], now: Now) -> list[Effect]:
        """Queue what is ready, fill the slots, and end the execution if nothing is left of it."""
        self.in_flight.mark(execution)
        effects, ready = self._expand(execution, ready, now)
        for task in ready:
            self.schedule.enqueue_when_due(execution, task, now)
        self.schedule.make_room(execution)
        effects += self.fill_slots(now)
        for task in ready:
            if task.status is TaskStatus.NOT_STARTED:
                decide.hold(execution, task, now.utc_us)
        if not execution.unfinished and not execution.status.is_final:
            conclude.conclude(execution, now.utc_us, self.schedule.limits.max_context_bytes)
            effects.append(ExecutionEnded(execution=execution))
        return effects

    def _expand(
        self, execution: ExecutionState, ready: list[TaskState], now: Now
    ) -> tuple[list[Effect], list[TaskState]]:
        """Begin the mapped tasks among ``ready``; return what is ready after that."""
        left, settled = deque(ready), list[TaskState]()
        while left:
            task = left.popleft()
            how = None if task.parent is not None else execution.spec(task.number).mapped
            may_begin = task.elements is None and execution.status is ExecutionStatus.RUNNING
            try:
                if task.parent is None:
                    execution.concurrency_key(task.number)
                if how is None or not may_begin or self.schedule.is_closing:
                    settled.append(task)
                    continue
                expansion = mapped.expand(execution, task, how, now.utc_us)
            except (NoListError, UnknownKeyError) as error:
                kind = type(error).__name__.removesuffix("Error")
                left += settle.refuse(execution, task, kind, str(error), now.utc_us)
                if stop.calls_for_stop(execution, task):
                    return self.stop(execution, StopReason.FAIL_FAST, now), []
                continue
            if expansion.is_over:
                left += finish.finish_if_over(execution, expansion, now.utc_us)
            else:
                settled.append(task)
        return [], settled

    def fill_slots(self, now: Now) -> list[Effect]:
        """Start what is in turn while there are slots."""
        started = list(self.schedule.start_next(self.in_flight.by_id, now))
        for start in started:
            self.in_flight.mark(start.execution)
        return list(started)

    def offer(self, now: Now) -> None:
        """Offer to other runners what has no slot here."""
        for execution in self.schedule.offer_more(self.in_flight.by_id, now):
            self.in_flight.mark(execution)

    def end_attempt(self, event: AttemptEnded, now: Now) -> list[Effect]:
        """Take the success or failure that an executor reports of an attempt, here or elsewhere."""
        if isinstance(event.result, Wait):
            raise AssertionError(  # noqa: TRY004 - the planner decides who takes what
                f"an attempt of {event.execution_id} waits, and has not ended"
            )
        self.schedule.give_back(event.token)
        found = self.in_flight.attempt(event.execution_id, event.task_number, event.token)
        if found is None:
            return self.fill_slots(now)  # it was settled before it ended
        execution, task = found
        if task.is_overdue:
            return self.fail_overdue(execution, task, now)
        expansion = execution.expansion_of(task)
        result = event.result if expansion is None else expansion.checked(event.result)
        if isinstance(result, TaskFailure):
            return self.fail(execution, task, result, now)
        attempt = task.attempt
        ready = settle.succeed(execution, task, result, now.utc_us)
        settled = _settled(execution, task, attempt, now)
        return [settled, *self.advance(execution, ready, now)]

    def fail(
        self, execution: ExecutionState, task: TaskState, failure: TaskFailure, now: Now
    ) -> list[Effect]:
        """Take the failure of a running attempt."""
        attempt = task.attempt
        jitter = self.schedule.jitter()
        ready, delay_us = settle.fail(execution, task, failure, jitter, now.utc_us)
        if delay_us is not None:
            self.schedule.deadlines.retry_after(execution, task, delay_us, now)
        settled = _settled(execution, task, attempt, now, failure=failure, delay_us=delay_us)
        return [settled, *self.follow(execution, task, ready, now)]

    def fail_overdue(self, execution: ExecutionState, task: TaskState, now: Now) -> list[Effect]:
        """Take the end, whatever it was, of an attempt that had taken longer than it may."""
        failure = self.schedule.timed_out(execution, task, has_ended=True)
        return self.fail(execution, task, failure, now)

    def lose(self, execution: ExecutionState, task: TaskState, now: Now) -> list[Effect]:
        """Take the loss of an attempt with the runner that had it."""
        if task.is_overdue:
            return self.fail_overdue(execution, task, now)
        ready = settle.lose(execution, task, now.utc_us, self.schedule.limits.max_losses)
        return self.follow(execution, task, ready, now)

    def follow(
        self, execution: ExecutionState, task: TaskState, ready: list[TaskState], now: Now
    ) -> list[Effect]:
        """Go on after an attempt, or a wait after one, that did not succeed."""
        if stop.calls_for_stop(execution, task):
            return self.stop_and_advance(execution, StopReason.FAIL_FAST, now)
        return self.advance(execution, ready, now)

    def stop_and_advance(
        self, execution: ExecutionState, reason: StopReason, now: Now
    ) -> list[Effect]:
        """Stop an execution, and end it if nothing of it runs."""
        effects = self.stop(execution, reason, now)
        return effects + self.advance(execution, [], now)

    def stop(self, execution: ExecutionState, reason: StopReason, now: Now) -> list[Effect]:
        """Cancel what did not start, ask what runs to end, and give it the time of grace."""
        self.in_flight.mark(execution)
        effects: list[Effect] = []
        for task in stop.stop(execution, reason, now.utc_us):
            if not task.is_overdue:  # else it was asked, and its grace goes on
                effects += self.ask_with_grace(execution, task, now)
        return effects

    def ask_with_grace(self, execution: ExecutionState, task: TaskState, now: Now) -> list[Effect]:
        """Ask a running attempt to end, and give it the time of grace."""
        self.in_flight.mark(execution)
        self.schedule.deadlines.give_grace(execution, task, now)
        return ask_to_end(execution, task, now, is_kill=False)


def ask_to_end(
    execution: ExecutionState, task: TaskState, now: Now, *, is_kill: bool
) -> list[Effect]:
    """Ask a running attempt to end, wherever it runs."""
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
