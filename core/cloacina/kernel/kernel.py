"""One thread that owns a runner's executions and is its only writer.

Each turn takes everything that arrived while the last commit ran, steps the planner, commits all
changes in one transaction and only then carries out the effects. Nothing is polled: the thread
sleeps until a message comes or the planner's next timer is due, and an idle one makes no statement.
"""

import threading
from collections.abc import Iterator, Sequence

from cloacina.errors import (
    EngineError,
    EvictedError,
    OwnershipLostError,
    RunnerClosedError,
)
from cloacina.kernel.asks import Asked, Asks
from cloacina.kernel.clock import Clock
from cloacina.kernel.commit import Committer
from cloacina.kernel.conditions import Conditions
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.hosting import Hosting
from cloacina.kernel.inbox import Inbox, Message
from cloacina.kernel.logbook import LogBook
from cloacina.kernel.lookout import Lookout
from cloacina.kernel.meter import Meter
from cloacina.kernel.observe import Observer
from cloacina.kernel.parts import Parts
from cloacina.kernel.requests import (
    Ask,
    Await,
    Inquire,
    LinesWait,
    LookAround,
    Retry,
    Stop,
    Submission,
)
from cloacina.kernel.waiters import Waiters, tell
from cloacina.kernel.wishes import Wishes
from cloacina.log import Logger
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.effects import (
    AnswerAsk,
    AttemptDeferred,
    AttemptSettled,
    CallCondition,
    Effect,
    ExecutionEnded,
    StartAttempt,
    StopAttempt,
    WaitFailed,
)
from cloacina.planner.events import (
    AttemptEnded,
    AttemptSaid,
    Claimed,
    Event,
    LimitsRead,
    TimePassed,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.restore import restored
from cloacina.store.contract import Writer

_LOG = Logger("cloacina")


class Kernel:
    """The loop. Other threads talk to it through ``send``; it answers through futures."""

    def __init__(
        self,
        *,
        planner: Planner,
        writer: Writer,
        neighbours: Neighbours,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """Bring the parts together; ``start`` begins, once all attributes are set."""
        self.dispatcher: Dispatcher
        self.conditions: Conditions
        self._planner = planner
        self._writer = writer
        self._neighbours = neighbours
        self._observer = observer
        self._clock = clock
        self.meter = Meter()
        self.inbox = Inbox()
        self._committer = Committer(
            planner=planner, writer=writer, neighbours=neighbours, clock=clock, meter=self.meter
        )
        self._lookout = Lookout(neighbours, clock)
        self._hosting = Hosting(
            planner=planner, neighbours=neighbours, lookout=self._lookout, clock=clock
        )
        self._waiters = Waiters()
        self._asks = Asks()
        self.logbook = LogBook(clock, lambda: self.send(LinesWait()))
        parts = Parts(
            planner=planner,
            neighbours=neighbours,
            clock=clock,
            inbox=self.inbox,
            lookout=self._lookout,
            waiters=self._waiters,
        )
        self.wishes = Wishes(parts, self._step, self._end)
        self._stop: Stop | None = None
        self._thread = threading.Thread(target=self._run, name="cloacina-kernel", daemon=True)

    def start(self) -> None:
        """Begin; what a dead runner left behind is taken over first."""
        self.inbox.look_around()
        self.inbox.reader = self._thread
        self._thread.start()

    def send(self, message: Message) -> None:
        """Leave a message (see ``Inbox.put``)."""
        self.inbox.put(message)

    def stop(self, give_up_after_s: float) -> None:
        """Let attempts that run end for at most that long, release what is owned, and end."""
        self.inbox.refuse_reader()
        self.inbox.close()
        give_up_at_us = self._clock.now().monotonic_us + int(give_up_after_s * 1_000_000)
        self._committer.give_up_at(give_up_at_us)  # it may be busy with the database just now
        self.inbox.put(Stop(give_up_at_us))
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_finished():
                self._turn()
        except BaseException as error:  # noqa: BLE001 - the thread's last words must reach the waiters
            _LOG.critical("the engine's thread failed", exc_info=error)
            self.inbox.fail(error)
        finally:
            failure = self.inbox.failure
            self._dismiss(failure or RunnerClosedError())
            self._writer.close()
            if failure is not None:
                self._neighbours.leave()  # so that others take over what this one cannot plan

    def _is_finished(self) -> bool:
        if self._stop is None:
            return False
        if self._clock.now().monotonic_us >= self._stop.give_up_at_us:
            return True
        return next(iter(self._planner.running), None) is None and not self._hosting.is_busy

    def _turn(self) -> None:
        effects: list[Effect] = []
        for message in self._messages():
            effects += self._take(message)
        committed = self._committer.commit(effects)
        self.meter.look(self._planner)
        if committed.has_written:
            self._neighbours.tell_of_changes()
        if committed.has_joined_again or committed.has_conceded:
            self.inbox.look_around()
        self._hosting.settle(committed.gone)
        self._waiters.answer(committed.gone)
        for execution_id, error in committed.gone.items():
            self.dispatcher.variables.pop(execution_id, None)
            if isinstance(error, OwnershipLostError):
                self._wait_elsewhere()
            else:
                self._waiters.refuse_end(execution_id, error)
        self._carry_out(committed.due)
        self._asks.sweep(self._planner, self._ask_to_end)
        has_freed = self._planner.take_freed()
        if has_freed or any(isinstance(effect, ExecutionEnded) for effect in committed.due):
            self._neighbours.tell_of_ends()
        self.wishes.finish_turn()
        if self._planner.awaited_keys:
            self._lookout.wait_for_keys()
        if committed.has_news:
            self._neighbours.tell_of_offers()
        self._host()

    def _wait_elsewhere(self) -> None:
        """Have whoever waits for an execution of ours hear of its end from those who have it now."""
        self._neighbours.ask_for_ends()
        self.inbox.look_around()

    def _host(self) -> None:
        """Tell owners how guests ended, and let others in."""
        if self._hosting.report():
            self.inbox.look_around()  # this runner may own what it ran as a guest
        try:
            if self._stop is None:
                self._hosting.claim(self.dispatcher)
        except EvictedError as error:
            self._committer.note_eviction(error)
            self.inbox.look_around()

    def _take(self, message: Message | Event | AttemptSaid) -> list[Effect]:
        effects: list[Effect] = []
        match message:
            case Submission():
                effects = self._begin(message)
            case Await():
                self._waiters.expect_end(message.execution_id, message.ended)
                self._neighbours.ask_for_ends()
                self._look_for_ends([message.execution_id])
            case Ask():
                effects = self.wishes.grant(message)
            case Retry():
                self.wishes.retry(message)
            case Inquire():
                tell([message.answered], self._planner.standing(message.execution_id))
            case AttemptSaid():
                self._planner.hear(message)
            case LinesWait():
                pass  # it is known now when they are due
            case Asked():
                effects = self._step(self._asks.take(message))
            case LookAround():
                effects = self._look_around()
            case AttemptEnded():
                effects = self._take_end(message)
            case Stop():
                self._stop = message
                self._planner.start_nothing_more()
                effects = self._planner.release_parked(self._clock.now())
            case _:
                effects = self._step(message)
        return effects

    def _begin(self, submission: Submission) -> list[Effect]:
        execution_id = submission.event.identity.execution_id
        self._waiters.answer_later(execution_id, submission.accepted, None)
        self._waiters.expect_end(execution_id, submission.ended)
        self.dispatcher.variables[execution_id] = submission.variables
        return self._step(submission.event)

    def _take_end(self, ended: AttemptEnded) -> list[Effect]:
        is_own = self._planner.is_running(ended.execution_id, ended.task_number, ended.token)
        lines = self.logbook.close(ended.token)
        self._asks.end(ended.token)
        if lines and is_own:
            said = AttemptSaid(
                execution_id=ended.execution_id,
                task_number=ended.task_number,
                token=ended.token,
                lines=lines,
            )
            self._planner.hear(said)
        self._hosting.end(ended, is_told=is_own, lines=lines)
        return self._step(ended)

    def _look_around(self) -> list[Effect]:
        """Take over what is free, tell of what ended elsewhere, obey what others ask."""
        effects: list[Effect] = []
        if self._stop is None:
            try:
                for stored in self._lookout.claim():
                    execution_id = stored.identity.execution_id
                    if self._planner.owns(execution_id):  # and lost it meanwhile
                        self._waiters.refuse_answers(execution_id, OwnershipLostError(execution_id))
                    effects += self._step(Claimed(stored=stored))
            except EvictedError as error:
                self._committer.note_eviction(error)
        self._look_for_ends(self._waiters.awaited)
        effects += self.wishes.obey()
        self.wishes.look_for_answers()
        awaited = self._planner.awaited_keys
        taken = self._lookout.taken(awaited) if awaited else None
        if taken is not None:
            effects += self._step(LimitsRead(taken))
        effects += self._hosting.look(self.dispatcher, is_closing=self._stop is not None)
        self._lookout.has_looked()
        return effects

    def _look_for_ends(self, execution_ids: Sequence[str]) -> None:
        """Tell those who wait for executions that other runners have, if they ended."""
        elsewhere = [each for each in execution_ids if not self._planner.owns(each)]
        for execution_id, found in self._lookout.ends(elsewhere):
            if isinstance(found, EngineError):
                self._waiters.refuse_end(execution_id, found)
            else:
                self._waiters.tell_end(execution_id, restored(found))

    def _messages(self) -> Iterator[Message | Event | AttemptSaid]:
        """Wait for the first message or timer, then take everything else that is there.

        However often it is time to look around, one look after all else is enough.
        """
        is_time_to_look = False
        for message in self.inbox.take(self._patience_s()):
            if isinstance(message, LookAround):
                is_time_to_look = True
            else:
                yield message
        now_us = self._clock.now().monotonic_us
        yield from self.logbook.take_due(now_us)
        if self._lookout.take_due(now_us) or is_time_to_look:
            yield LookAround()
        due = self._planner.next_due_us
        if due is not None and due <= self._clock.now().monotonic_us:
            yield TimePassed()

    def _patience_s(self) -> float | None:
        moments = [
            self._planner.next_due_us,
            self._stop.give_up_at_us if self._stop else None,
            self._lookout.next_due_us,
            self.logbook.next_due_us,
        ]
        due = min((moment for moment in moments if moment is not None), default=None)
        if due is None:
            return None
        return min(max(0, due - self._clock.now().monotonic_us) / 1_000_000, threading.TIMEOUT_MAX)

    def _step(self, event: Event) -> list[Effect]:
        now = self._clock.now()
        for said in self.logbook.before(event):
            self._planner.hear(said)
        return self._planner.step(event, now)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case StartAttempt():
                    self._observer.attempt_started(effect)
                    self.dispatcher.start(effect)
                case AttemptSettled():
                    self._observer.attempt_settled(effect)
                case AttemptDeferred():
                    self._observer.attempt_deferred(effect)
                case WaitFailed():
                    self._observer.wait_failed(effect)
                case StopAttempt():
                    self.dispatcher.stop(effect)
                case AnswerAsk():
                    self._asks.answer(effect)
                case CallCondition():
                    self.conditions.call(effect)
                case ExecutionEnded():
                    self._end(effect.execution)

    def _ask_to_end(self, token: str) -> None:
        self.dispatcher.cancel(token, is_kill=False)

    def _end(self, execution: ExecutionState) -> None:
        self._observer.execution_ended(execution)
        self.dispatcher.variables.pop(execution.id, None)
        self._waiters.tell_end(execution.id, execution)

    def _dismiss(self, error: EngineError) -> None:
        """Tell everybody who still waits that this kernel will not answer."""
        self.inbox.dismiss(error)
        self.wishes.dismiss(error)
        self._waiters.dismiss(error)
        self._asks.dismiss(self._ask_to_end)
