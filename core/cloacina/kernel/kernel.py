"""One thread that owns a runner's executions and is its only writer.

Each turn takes everything that arrived while the last commit ran, steps the planner, commits all
changes in one transaction and only then carries out the effects. Nothing is polled: the thread
sleeps until a message comes or the planner's next timer is due, and an idle one makes no statement.
"""

import logging
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cloacina.errors import (
    EngineError,
    EngineThreadError,
    EvictedError,
    KernelFailedError,
    OwnershipLostError,
    RunnerClosedError,
    StoreUnavailableError,
)
from cloacina.kernel.clock import Clock
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.observe import Observer
from cloacina.kernel.requests import Ask, Await, LookAround, Request, Stop, Submission
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
    Claimed,
    Event,
    Requested,
    StoredExecution,
    TimePassed,
)
from cloacina.planner.execution import ExecutionState, restored
from cloacina.planner.planner import Planner
from cloacina.store.contract import Writer, Written

_LOG = logging.getLogger("cloacina")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What to tell somebody once the changes of an execution are committed."""

    execution_id: str
    future: Future[Any]
    value: object


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
        self._inbox: queue.SimpleQueue[Request | AttemptEnded] = queue.SimpleQueue()
        self._waiting: dict[str, list[Future[ExecutionState]]] = {}
        self._unanswered: list[_Answer] = []
        """Questions that were taken in this turn, to be answered once it is committed."""
        self._obeyed: list[str] = []
        """Commands whose effect is to be committed in this turn."""
        self._stop: Stop | None = None
        self._must_end_at_us: int | None = None
        """Like ``_stop``, for when the inbox is not looked at because the database is busy."""
        self._is_evicted = False
        self._look_at_us: int | None = None
        """When to look around unasked, because the last look did not succeed."""
        self._look_pause_s = _FIRST_PAUSE_S
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
        self._must_end_at_us = self._clock.now().monotonic_us + int(give_up_after_s * 1_000_000)
        self._inbox.put(Stop(self._must_end_at_us))
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
        return next(iter(self._planner.running), None) is None

    def _turn(self) -> None:
        effects: list[Effect] = []
        for message in self._messages():
            effects += self._take(message)
        gone, effects = self._commit(effects)
        self._close_commands()
        while self._unanswered:
            answer = self._unanswered.pop(0)
            error = gone.get(answer.execution_id)
            if error is None:
                _tell([answer.future], answer.value)
            else:
                _refuse([answer.future], error)
        self._carry_out(effects)
        if any(isinstance(effect, ExecutionEnded) for effect in effects):
            self._neighbours.tell_of_ends()

    def _take(self, message: Request | Event) -> list[Effect]:
        match message:
            case Submission():
                return self._begin(message)
            case Await():
                self._waiting.setdefault(message.execution_id, []).append(message.ended)
                self._neighbours.ask_for_ends()
                self._look_for_ends([message.execution_id])
            case Ask():
                return self._grant(message)
            case LookAround():
                effects: list[Effect] = []
                for stored in self._claim():
                    effects += self._step(Claimed(stored=stored))
                self._look_for_ends(list(self._waiting))
                effects += self._obey()
                if self._look_at_us is None:
                    self._look_pause_s = _FIRST_PAUSE_S
                return effects
            case Stop():
                self._stop = message
                self._planner.start_nothing_more()
            case _:
                return self._step(message)
        return []

    def _begin(self, submission: Submission) -> list[Effect]:
        execution_id = submission.event.identity.execution_id
        self._unanswered.append(_Answer(execution_id, submission.accepted, None))
        self._waiting[execution_id] = [submission.ended]
        self.dispatcher.variables[execution_id] = submission.variables
        return self._step(submission.event)

    def _grant(self, ask: Ask) -> list[Effect]:
        """Do what is asked of an execution of ours; say so if it is not ours."""
        is_ours = self._planner.owns(ask.execution_id)
        self._unanswered.append(_Answer(ask.execution_id, ask.answered, is_ours))
        return self._step(Requested(execution_id=ask.execution_id, wish=ask.wish))

    def _obey(self) -> list[Effect]:
        """Do what other processes left in the inbox for executions of ours."""
        effects: list[Effect] = []
        try:
            commands = self._neighbours.commands(self._planner.owns)
        except StoreUnavailableError as error:
            self._look_later(error)
            return effects
        for command in commands:
            effects += self._step(Requested(execution_id=command.execution_id, wish=command.wish))
            self._obeyed.append(command.id)
        return effects

    def _close_commands(self) -> None:
        if not self._obeyed:
            return
        try:
            self._neighbours.answer(self._obeyed)
        except StoreUnavailableError as error:
            self._look_later(error)  # they are found again then, and obeyed once more
        self._obeyed.clear()

    def _look_later(self, error: StoreUnavailableError) -> None:
        _LOG.warning("%s; looking again in %g s", error, self._look_pause_s)
        pause_us = int(self._look_pause_s * 1_000_000)
        self._look_at_us = self._clock.now().monotonic_us + pause_us
        self._look_pause_s = min(2 * self._look_pause_s, _LONGEST_PAUSE_S)

    def _messages(self) -> Iterator[Request | Event]:
        """Wait for the first message or timer, then take everything else that is there."""
        try:
            yield self._inbox.get(timeout=self._patience_s())
        except queue.Empty:
            yield TimePassed()
        for _ in range(self._inbox.qsize()):
            yield self._inbox.get()
        now_us = self._clock.now().monotonic_us
        due = self._planner.next_due_us
        if due is not None and due <= now_us:
            yield TimePassed()
        if self._look_at_us is not None and self._look_at_us <= now_us:
            self._look_at_us = None
            yield LookAround()

    def _patience_s(self) -> float | None:
        moments = [
            self._planner.next_due_us,
            self._stop.give_up_at_us if self._stop else None,
            self._look_at_us,
        ]
        due = min((moment for moment in moments if moment is not None), default=None)
        if due is None:
            return None
        return min(max(0, due - self._clock.now().monotonic_us) / 1_000_000, threading.TIMEOUT_MAX)

    def _step(self, event: Event) -> list[Effect]:
        return self._planner.step(event, self._clock.now())

    def _claim(self) -> Sequence[StoredExecution]:
        if self._stop is not None:
            return ()
        try:
            return self._neighbours.take_over()
        except EvictedError as error:
            _LOG.warning("%s", error)
            self._is_evicted = True
            return ()
        except StoreUnavailableError as error:
            self._look_later(error)
            return ()
        except EngineError:
            _LOG.exception("could not look for executions to take over; the next change retries")
            return ()

    def _commit(self, effects: Sequence[Effect]) -> tuple[dict[str, EngineError], list[Effect]]:
        """Write what changed; return which executions are not ours to go on with, and why.

        Returned as well are the effects that may be carried out: those of what was written.
        """
        gone: dict[str, EngineError] = {}
        due: list[Effect] = []
        while (unsaved := self._planner.take_unsaved()) or self._is_evicted:
            written = self._write(unsaved)
            for execution in written.saved:
                self._planner.saved(execution)
            gone |= self._let_go(written)
            # by identity: one that was lost and claimed again has two states under one id
            saved = set(map(id, written.saved))
            void: list[str] = []
            for effect in effects:
                is_void = id(effect.execution) not in saved
                if isinstance(effect, StartAttempt) and (is_void or effect.is_over):
                    void.append(effect.token)
                elif not is_void:
                    due.append(effect)
            effects = self._planner.withdraw(void, self._clock.now())
            if self._is_evicted:
                break  # there was no time left to join again
        return gone, due

    def _let_go(self, written: Written) -> dict[str, EngineError]:
        """Drop what could not be written; return why."""
        gone: dict[str, EngineError] = {e.id: OwnershipLostError(e.id) for e in written.lost}
        gone |= {execution.id: error for execution, error in written.rejected}
        gone |= {execution.id: RunnerClosedError() for execution in written.postponed}
        refused = (execution for execution, _ in written.rejected)
        for execution in (*written.lost, *refused, *written.postponed):
            _LOG.error("%s", gone[execution.id])
            self._drop(execution, gone[execution.id])
        return gone

    def _write(self, unsaved: Sequence[ExecutionState]) -> Written:
        """Write until the database has taken or refused everything; nothing is lost meanwhile.

        Only a runner that has to end gives up: the next one goes on from the last commit.
        """
        written = Written(postponed=list(unsaved))
        lost: Sequence[ExecutionState] = ()
        pause_s = _FIRST_PAUSE_S
        while written.postponed or self._is_evicted:
            try:
                if self._is_evicted:
                    self._neighbours.join_again()
                    self._is_evicted = False
                    # what was stored is others' now, or nobody's; what is new can still be
                    lost = self._planner.stored
                    new = [each for each in unsaved if each.stored_status is None]
                    written = Written(postponed=new)
                    self._inbox.put(LookAround())
                left, written.postponed = written.postponed, []
                written.add(self._writer.commit(left))
            except EvictedError as error:
                _LOG.warning("%s", error)
                self._is_evicted = True
                written = Written(postponed=list(unsaved))
                continue
            except StoreUnavailableError as error:
                written.obstacle = str(error)
            if written.postponed or self._is_evicted:
                _LOG.warning("%s; trying again in %g s", written.obstacle, pause_s)
                if self._is_out_of_time():
                    break
                self._clock.pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        written.lost.extend(lost)
        return written

    def _is_out_of_time(self) -> bool:
        end_us = self._must_end_at_us
        return end_us is not None and self._clock.now().monotonic_us >= end_us

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
        _tell(self._waiting.pop(execution.id, ()), execution)

    def _look_for_ends(self, execution_ids: Sequence[str]) -> None:
        """Tell those who wait for executions that other runners have, if they ended."""
        for execution_id in execution_ids:
            if self._planner.owns(execution_id):
                continue
            try:
                stored = self._neighbours.finished(execution_id)
            except StoreUnavailableError as error:
                self._look_later(error)
                return
            except EngineError as error:
                _refuse(self._waiting.pop(execution_id), error)
                continue
            if stored is not None:
                _tell(self._waiting.pop(execution_id), restored(stored))

    def _drop(self, execution: ExecutionState, error: EngineError) -> None:
        self._planner.forget(execution.id)
        self.dispatcher.variables.pop(execution.id, None)
        _refuse(self._waiting.pop(execution.id, ()), error)

    def _dismiss(self, error: EngineError) -> None:
        """Tell everybody who still waits that this kernel will not answer."""
        with self._gate:
            self._is_closed = True
            left = [self._inbox.get() for _ in range(self._inbox.qsize())]
        for message in left:
            if isinstance(message, Submission):
                _refuse([message.accepted, message.ended], error)
            elif isinstance(message, Await):
                _refuse([message.ended], error)
            elif isinstance(message, Ask):
                _refuse([message.answered], error)
        _refuse([answer.future for answer in self._unanswered], error)
        for waiters in self._waiting.values():
            _refuse(waiters, error)
        self._waiting.clear()


def _tell(waiters: Iterable[Future[Any]], value: object) -> None:
    for waiter in waiters:
        if waiter.set_running_or_notify_cancel():  # whoever waited may have gone
            waiter.set_result(value)


def _refuse(waiters: Iterable[Future[Any]], error: EngineError) -> None:
    for waiter in waiters:
        if not waiter.done() and waiter.set_running_or_notify_cancel():
            waiter.set_exception(error)
