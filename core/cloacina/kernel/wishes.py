"""Do what people ask of executions: of those that this runner has, and of those that nobody has.

Rules it upholds:

* what is granted to an execution of this runner is told once it is committed;
* what another runner has is left to it in the inbox of the database, and so is the answer;
* executions are migrated between two turns: all that was planned of them is written then.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from cloacina.errors import EngineError
from cloacina.kernel.parts import Parts
from cloacina.kernel.requests import Ask, Retry
from cloacina.kernel.waiters import refuse, tell
from cloacina.model.states import Answer, Wish
from cloacina.planner.effects import Effect
from cloacina.planner.events import Event, Requested, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.store.commands import AT_ONCE
from cloacina.store.direct import Settled
from cloacina.store.migration import FindTarget


class Wishes:
    """What is asked in a turn, until it is answered. Belongs to the kernel's thread."""

    def __init__(
        self,
        parts: Parts,
        step: Callable[[Event], list[Effect]],
        end: Callable[[ExecutionState], None],
    ) -> None:
        """Plan by ``step``; tell of executions that ended outside of the planner by ``end``."""
        self.find_target: FindTarget
        self.max_event_bytes = 0
        self._planner = parts.planner
        self._neighbours = parts.neighbours
        self._clock = parts.clock
        self._inbox = parts.inbox
        self._lookout = parts.lookout
        self._waiters = parts.waiters
        self._step = step
        self._end = end
        self._has_obeyed = False
        """Whether commands are answered in this turn."""
        self._migrations: list[tuple[Requested, Future[Verdict] | None]] = []
        """Asked for in this turn, here or (without a future) by commands."""

    def grant(self, ask: Ask) -> list[Effect]:
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
            self._inbox.look_around()  # its owner may be dead
        else:
            self._follow(settled)
            tell([ask.answered], settled.verdict)
        return []

    def dismiss(self, error: EngineError) -> None:
        """Tell whoever asked for a migration in this turn that there will be none."""
        refuse([answered for _, answered in self._migrations if answered is not None], error)
        self._migrations.clear()

    def retry(self, request: Retry) -> None:
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
        self._inbox.look_around()

    def obey(self) -> list[Effect]:
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
            self._inbox.look_around()  # there may be more
        return effects

    def finish_turn(self) -> None:
        """Do what can only be done now that all of the turn is written, and tell of it."""
        self._migrate()
        if self._has_obeyed:
            self._has_obeyed = False
            self._neighbours.tell_of_answers()
            self.look_for_answers()  # some may be to commands of our own

    def look_for_answers(self) -> None:
        """Tell those who left commands to other runners what became of them."""
        for command_id, verdict in self._lookout.answers(self._waiters.open_commands).items():
            self._waiters.tell_answer(command_id, verdict)

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
                self._inbox.look_around()  # its owner may be dead
            return
        if settled.verdict.answer is Answer.GRANTED:
            self._planner.forget(wanted.execution_id)
            self._inbox.look_around()
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
            self._inbox.look_around()  # somebody has to bring it to its end, or go on with it

    def _limited(self, wanted: Requested) -> Requested:
        """Return a wish with what this runner allows of its argument."""
        limit = self.max_event_bytes
        return replace(wanted, largest_bytes=limit) if _may_be_long(wanted) else wanted


def _may_be_long(wanted: Requested) -> bool:
    return wanted.wish == Wish.SEND_EVENT
