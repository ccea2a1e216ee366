"""One thread that owns a runner's executions and is its only writer.

Each turn takes everything that arrived while the last commit ran, steps the planner, commits all
changes in one transaction and only then carries out the effects. Nothing is polled: the thread
sleeps until a message comes or the planner's next timer is due, and an idle one makes no statement.
"""

import logging
import queue
import threading
from collections.abc import Iterator, Sequence

from cloacina.errors import (
    EngineError,
    EngineThreadError,
    EvictedError,
    KernelFailedError,
    RunnerClosedError,
)
from cloacina.kernel.clock import Clock
from cloacina.kernel.commit import Committer
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.hosting import Hosting
from cloacina.kernel.logbook import LogBook
from cloacina.kernel.lookout import Lookout
from cloacina.kernel.meter import Meter
from cloacina.kernel.observe import Observer
from cloacina.kernel.requests import Ask, Await, LinesWait, LookAround, Request, Stop, Submission
from cloacina.kernel.waiters import Waiters, refuse
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.effects import (
    AttemptSettled,
    Effect,
    ExecutionEnded,
    StartAttempt,
    StopAttempt,
)
from cloacina.planner.events import (
    AttemptEnded,
    AttemptSaid,
    Claimed,
    Event,
    LimitsRead,
    Requested,
    TimePassed,
)
from cloacina.planner.execution import ExecutionState, restored
from cloacina.planner.planner import Planner
from cloacina.store.contract import Writer

_LOG = logging.getLogger("cloacina")


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
        """Bring the parts together; ``start`` begins, once ``dispatcher`` is set."""
        self.dispatcher: Dispatcher
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
        self.logbook = LogBook(clock, lambda: self.send(LinesWait()))
        self._inbox: queue.SimpleQueue[Request | AttemptEnded] = queue.SimpleQueue()
        self._stop: Stop | None = None
        self._failure: KernelFailedError | None = None
        self._gate = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="cloacina-kernel", daemon=True)

    def start(self) -> None:
        """Begin; what a dead runner left behind is taken over first."""
        self._inbox.put(LookAround())
        self._thread.start()

    def send(self, message: Request | AttemptEnded) -> None:
        """Leave a message.

        Raises:
            RunnerClosedError: for a submission or wait after the kernel was told to stop.
            KernelFailedError: likewise, after it failed.
            EngineThreadError: likewise, on the kernel's own thread.
        """
        if isinstance(message, Submission | Await | Ask):
            self._refuse_own_thread()
            with self._gate:  # no submission may slip in behind the last look at the inbox
                if self._failure is not None:
                    raise self._failure
                if self._is_closed:
                    raise RunnerClosedError
                self._inbox.put(message)
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
            effects += self._take(message)
        committed = self._committer.commit(effects)
        self.meter.look(self._planner)
        if committed.has_written:
            self._neighbours.tell_of_changes()
        if committed.has_joined_again or committed.has_conceded:
            self._inbox.put(LookAround())
        self._hosting.settle(committed.gone)
        self._lookout.close_commands()
        self._waiters.answer(committed.gone)
        for execution_id, error in committed.gone.items():
            self.dispatcher.variables.pop(execution_id, None)
            self._waiters.refuse_end(execution_id, error)
        self._carry_out(committed.due)
        has_freed = self._planner.take_freed()
        if has_freed or any(isinstance(effect, ExecutionEnded) for effect in committed.due):
            self._neighbours.tell_of_ends()
        if self._planner.awaited_keys:
            self._lookout.wait_for_keys()
        if committed.has_news:
            self._neighbours.tell_of_offers()
        self._host()

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

    def _take(self, message: Request | Event | AttemptSaid) -> list[Effect]:
        match message:
            case Submission():
                return self._begin(message)
            case Await():
                self._waiters.expect_end(message.execution_id, message.ended)
                self._neighbours.ask_for_ends()
                self._look_for_ends([message.execution_id])
            case Ask():
                return self._grant(message)
            case AttemptSaid():
                self._planner.hear(message)
            case LinesWait():
                pass  # it is known now when they are due
            case LookAround():
                return self._look_around()
            case AttemptEnded():
                return self._take_end(message)
            case Stop():
                self._stop = message
                self._planner.start_nothing_more()
            case _:
                return self._step(message)
        return []

    def _begin(self, submission: Submission) -> list[Effect]:
        execution_id = submission.event.identity.execution_id
        self._waiters.answer_later(execution_id, submission.accepted, None)
        self._waiters.expect_end(execution_id, submission.ended)
        self.dispatcher.variables[execution_id] = submission.variables
        return self._step(submission.event)

    def _take_end(self, ended: AttemptEnded) -> list[Effect]:
        is_own = self._planner.is_running(ended.execution_id, ended.task_number, ended.token)
        lines = self.logbook.close(ended.token)
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
        """Do what is asked of an execution of ours; say so if it is not ours."""
        is_ours = self._planner.owns(ask.execution_id)
        self._waiters.answer_later(ask.execution_id, ask.answered, is_ours)
        return self._step(Requested(execution_id=ask.execution_id, wish=ask.wish))

    def _look_around(self) -> list[Effect]:
        """Take over what is free, tell of what ended elsewhere, obey what others ask."""
        effects: list[Effect] = []
        if self._stop is None:
            try:
                for stored in self._lookout.claim():
                    effects += self._step(Claimed(stored=stored))
            except EvictedError as error:
                self._committer.note_eviction(error)
        self._look_for_ends(self._waiters.awaited)
        for command in self._lookout.commands(self._planner.owns):
            effects += self._step(Requested(execution_id=command.execution_id, wish=command.wish))
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

    def _messages(self) -> Iterator[Request | Event | AttemptSaid]:
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

    def _waiting_messages(self) -> Iterator[Request | AttemptEnded]:
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
                case StopAttempt():
                    self.dispatcher.stop(effect)
                case ExecutionEnded():
                    self._end(effect.execution)

    def _end(self, execution: ExecutionState) -> None:
        self._observer.execution_ended(execution)
        self.dispatcher.variables.pop(execution.id, None)
        self._waiters.tell_end(execution.id, execution)

    def _dismiss(self, error: EngineError) -> None:
        """Tell everybody who still waits that this kernel will not answer."""
        with self._gate:
            self._is_closed = True
            left = [self._inbox.get() for _ in range(self._inbox.qsize())]
        for message in left:
            if isinstance(message, Submission):
                refuse([message.accepted, message.ended], error)
            elif isinstance(message, Await):
                refuse([message.ended], error)
            elif isinstance(message, Ask):
                refuse([message.answered], error)
        self._waiters.dismiss(error)
