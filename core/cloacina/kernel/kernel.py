"""One thread that owns a runner's executions and is its only writer.

Each turn takes everything that arrived while the last commit ran, steps the planner, commits all
changes in one transaction and only then carries out the effects. Nothing is polled: the thread
sleeps until a message comes or the planner's next timer is due, and an idle one makes no statement.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeAlias

from cloacina.errors import (
    EngineError,
    EngineThreadError,
    EvictedError,
    KernelFailedError,
    OwnershipLostError,
    RunnerClosedError,
)
from cloacina.kernel.asks import Asked, Asks
from cloacina.kernel.clock import Clock
from cloacina.kernel.commit import Committer
from cloacina.kernel.conditions import Conditions
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.hosting import Hosting
from cloacina.kernel.logbook import LogBook
from cloacina.kernel.lookout import Lookout
from cloacina.kernel.meter import Meter
from cloacina.kernel.observe import Observer
from cloacina.kernel.requests import (
    Ask,
    Await,
    Inquire,
    LinesWait,
    LookAround,
    Request,
    Retry,
    Stop,
    Submission,
)
from cloacina.kernel.waiters import Waiters, refuse, tell
from cloacina.log import Logger
from cloacina.model.states import Answer, Wish
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
    ConditionTold,
    Event,
    LimitsRead,
    Requested,
    TimePassed,
    Verdict,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.restore import restored
from cloacina.store.commands import AT_ONCE
from cloacina.store.contract import Writer
from cloacina.store.direct import Settled
from cloacina.store.migration import FindTarget
from cloacina_sdk.executor import Reply

_LOG = Logger("cloacina")

Message: TypeAlias = Request | AttemptEnded | Asked | ConditionTold
"""What other threads leave for the kernel."""


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
        self.find_target: FindTarget
        self.conditions: Conditions
        self.max_event_bytes = 0
        self._planner = planner
        self._writer = writer
        self._neighbours = neighbours
        self._observer = observer
        self._clock = clock
        self.meter = Meter()
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
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stop: Stop | None = None
        self._has_obeyed = False
        """Whether commands are answered in this turn."""
        self._migrations: list[tuple[Requested, Future[Verdict] | None]] = []
        """Asked for in this turn, here or (without a future) by commands."""
        self._failure: KernelFailedError | None = None
        self._in_hand: Message | Event | AttemptSaid | None = None
        """What is being taken just now."""
        self._gate = threading.Lock()
        self._is_closed = False
        self._is_over = False
        """Whether nobody takes messages any more."""
        self._thread = threading.Thread(target=self._run, name="cloacina-kernel", daemon=True)

    def start(self) -> None:
        """Begin; what a dead runner left behind is taken over first."""
        self._inbox.put(LookAround())
        self._thread.start()

    def send(self, message: Message) -> None:
        """Leave a message.

        Raises:
            RunnerClosedError: for a submission or wait after the kernel was told to stop.
            KernelFailedError: likewise, after it failed.
            EngineThreadError: likewise, on the kernel's own thread.
        """
        if isinstance(message, Submission | Await | Ask | Retry | Inquire):
            self._refuse_own_thread()
            with self._gate:  # no submission may slip in behind the last look at the inbox
                if self._failure is not None:
                    raise self._failure
                if self._is_closed:
                    raise RunnerClosedError
                self._inbox.put(message)
        elif isinstance(message, Asked):
            with self._gate:
                is_over = self._is_over
                if not is_over:
                    self._inbox.put(message)
            if is_over:
                message.answer(Reply.LOST)
        else:
            self._inbox.put(message)

    def stop(self, give_up_after_s: float) -> None:
        """Let attempts that run end for at most that long, release what is owned, and end."""
        self._refuse_own_thread()
        with self._gate:
            self._is_closed = True
        give_up_at_us = self._clock.now().monotonic_us + int(give_up_after_s * 1_000_000)
        self._committer.give_up_at(give_up_at_us)  # it may be busy with the database just now
        self._inbox.put(Stop(give_up_at_us))
        self._thread.join()

    def _refuse_own_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise EngineThreadError

    def _run(self) -> None:
        try:
            while not self._is_finished():
                self._turn()
        except BaseException as error:  # noqa: BLE001 - the thread's last words must reach the waiters
            _LOG.critical("the engine's thread failed", exc_info=error)
            with self._gate:
                self._failure = KernelFailedError(error)
        finally:
            self._dismiss(self._failure or RunnerClosedError())
            self._writer.close()
            if self._failure is not None:
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
            self._in_hand = message  # if this fails, whoever sent it is told
            effects += self._take(message)
        self._in_hand = None
        committed = self._committer.commit(effects)
        self.meter.look(self._planner)
        if committed.has_written:
            self._neighbours.tell_of_changes()
        if committed.has_joined_again or committed.has_conceded:
            self._inbox.put(LookAround())
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
        self._migrate()
        if self._has_obeyed:
            self._has_obeyed = False
            self._neighbours.tell_of_answers()
            self._look_for_answers()  # some may be to commands of our own
        if self._planner.awaited_keys:
            self._lookout.wait_for_keys()
        if committed.has_news:
            self._neighbours.tell_of_offers()
        self._host()

    def _wait_elsewhere(self) -> None:
        """Have whoever waits for an execution of ours hear of its end from those who have it now."""
        self._neighbours.ask_for_ends()
        self._inbox.put(LookAround())

    def _host(self) -> None:
        """Tell owners how guests ended, and let others in."""
        if self._hosting.report():
            self._inbox.put(LookAround())  # this runner may own what it ran as a guest
        try:
            if self._stop is None:
                self._hosting.claim(self.dispatcher)
        except EvictedError as error:
            self._committer.note_eviction(error)
            self._inbox.put(LookAround())

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
                effects = self._grant(message)
            case Retry():
                self._retry(message)
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

    def _grant(self, ask: Ask) -> list[Effect]:
        """Do what is asked of an execution of ours, or of nobody's, or leave it to its owner."""
        wanted = self._limited(ask.wanted)
        if wanted.wish == Wish.MIGRATE:
            self._migrations.append((wanted, ask.answered))
            return []
        if self._planner.owns(wanted.execution_id):
            # it never was in the inbox, where nobody would look for the answer
            here = replace(wanted, command_id=None)
            effects, verdict = self._planner.grant(here, self._clock.now())
            self._waiters.answer_later(wanted.execution_id, ask.answered, verdict)
            return effects
        try:
            settled = self._neighbours.settle(wanted, self._clock.now(), is_new=True)
        except EngineError as error:
            self._lookout.note(error)  # it may be written nevertheless
            refuse([ask.answered], error)
            return []
        if settled.verdict is None:
            self._waiters.expect_answer(wanted.command_id or "", ask.answered)
            self._inbox.put(LookAround())  # its owner may be dead
        else:
            self._follow(settled)
            tell([ask.answered], settled.verdict)
        return []

    def _retry(self, request: Retry) -> None:
        """Have an execution run again that has ended; whoever knows it goes on with it."""
        try:
            execution = self._neighbours.retry(
                request.execution_id, self._clock.now().utc_us, from_failed=request.from_failed
            )
        except EngineError as error:
            self._lookout.note(error)  # it may be written nevertheless
            refuse([request.reopened], error)
            return
        self._follow(Settled(None, execution if execution.status.is_final else None))
        tell([request.reopened], None)
        self._inbox.put(LookAround())

    def _obey(self) -> list[Effect]:
        """Do what others left in the inbox for what is ours, or nobody's."""
        effects: list[Effect] = []
        is_any_done = False
        commands = self._lookout.commands()
        for command in map(self._limited, commands):
            if command.wish == Wish.MIGRATE:
                self._migrations.append((command, None))
            elif self._planner.owns(command.execution_id):
                effects += self._step(command)
                self._has_obeyed = is_any_done = True
            else:
                settled = self._lookout.settle(command)
                self._follow(settled)
                is_any_done |= settled.verdict is not None
        if is_any_done and (len(commands) == AT_ONCE or any(map(_may_be_long, commands))):
            self._inbox.put(LookAround())  # there may be more
        return effects

    def _limited(self, wanted: Requested) -> Requested:
        """Return a wish with what this runner allows of its argument."""
        limit = self.max_event_bytes
        return replace(wanted, largest_bytes=limit) if _may_be_long(wanted) else wanted

    def _migrate(self) -> None:
        """Change executions to other versions, now that all of this turn is written."""
        while self._migrations:
            self._migrate_one(*self._migrations[0])
            del self._migrations[0]  # if that fails, whoever asked is told

    def _migrate_one(self, wanted: Requested, answered: Future[Verdict] | None) -> None:
        try:
            settled = self._neighbours.migrate(
                wanted, self.find_target, self._clock.now(), is_new=answered is not None
            )
        except EngineError as error:
            self._lookout.note(error)
            refuse([answered] if answered else [], error)
            return
        if settled.verdict is None:
            if answered is not None:
                self._waiters.expect_answer(wanted.command_id or "", answered)
                self._inbox.put(LookAround())  # its owner may be dead
            return
        if settled.verdict.answer is Answer.GRANTED:
            self._planner.forget(wanted.execution_id)
            self._inbox.put(LookAround())
        self._follow(settled)
        tell([answered] if answered else [], settled.verdict)
        self._has_obeyed |= answered is None

    def _follow(self, settled: Settled) -> None:
        """Tell what became of an execution that nobody owned."""
        self._neighbours.tell_of_changes()
        if settled.ended is not None:
            self._end(settled.ended)
            self._neighbours.tell_of_ends()
        elif settled.verdict is not None and settled.verdict.answer is Answer.GRANTED:
            self._inbox.put(LookAround())  # somebody has to bring it to its end, or go on with it

    def _look_for_answers(self) -> None:
        for command_id, verdict in self._lookout.answers(self._waiters.open_commands).items():
            self._waiters.tell_answer(command_id, verdict)

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
        effects += self._obey()
        self._look_for_answers()
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
        for message in self._waiting_messages():
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

    def _waiting_messages(self) -> Iterator[Message]:
        try:
            yield self._inbox.get(timeout=self._patience_s())
        except queue.Empty:
            return
        for _ in range(self._inbox.qsize()):
            yield self._inbox.get()

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
        with self._gate:
            self._is_closed = self._is_over = True
            left = [self._inbox.get() for _ in range(self._inbox.qsize())]
        if self._in_hand is not None:
            refuse(_waiting_for(self._in_hand), error)
        for message in left:
            refuse(_waiting_for(message), error)
            if isinstance(message, Asked):
                message.answer(Reply.LOST)
        refuse([answered for _, answered in self._migrations if answered], error)
        self._waiters.dismiss(error)
        self._asks.dismiss(self._ask_to_end)


def _waiting_for(message: Message | Event | AttemptSaid) -> Sequence[Future[Any]]:
    """Return what whoever sent a message waits for."""
    match message:
        case Submission():
            return [message.accepted, message.ended]
        case Await():
            return [message.ended]
        case Ask() | Inquire():
            return [message.answered]
        case Retry():
            return [message.reopened]
        case _:
            return []


def _may_be_long(wanted: Requested) -> bool:
    return wanted.wish == Wish.SEND_EVENT
