"""Write what a turn changed, until the database has taken or refused it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cloacina.errors import (
    DuplicateExecutionError,
    EngineError,
    EvictedError,
    OwnershipLostError,
    RunnerClosedError,
)
from cloacina.kernel.clock import Clock
from cloacina.kernel.journal import fields_of
from cloacina.kernel.meter import Meter
from cloacina.log import Logger
from cloacina.model.patience import Patience
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.effects import CallCondition, Effect, StartAttempt
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.queue.claims import Question
from cloacina.store.contract import Writer, Written

_LOG = Logger("cloacina")


@dataclass(slots=True)
class Committed:
    """How the commit of a turn went."""

    due: list[Effect] = field(default_factory=list)
    """The effects that may be carried out: those of what was written."""
    gone: dict[str, EngineError] = field(default_factory=dict)
    """Executions that are not ours to go on with, and why; the planner has forgotten them."""
    has_written: bool = False
    """Whether anything of any execution was written."""
    has_news: bool = False
    """Offers changed in a way that other runners have to know of."""
    has_conceded: bool = False
    """Somebody had claimed an offer that was to be withdrawn: there may be more to see of it."""
    has_joined_again: bool = False
    """The others had held this runner for dead: it is time to look around."""


class Committer:
    """Writes a runner's changes. Belongs to the kernel's thread, but for ``give_up_at``."""

    def __init__(
        self,
        *,
        planner: Planner,
        writer: Writer,
        neighbours: Neighbours,
        clock: Clock,
        meter: Meter,
    ) -> None:
        """Write what ``planner`` changed through ``writer``, and count it on ``meter``."""
        self._meter = meter
        self._planner = planner
        self._writer = writer
        self._neighbours = neighbours
        self._clock = clock
        self._is_evicted = False
        self._give_up_at_us: int | None = None

    def give_up_at(self, monotonic_us: int) -> None:
        """Stop trying to write after that time. Safe to call from any thread."""
        self._give_up_at_us = monotonic_us

    def note_eviction(self, error: EvictedError) -> None:
        """Join again before anything else is written: what was owned is others' now."""
        _LOG.warning("%s", error)
        self._is_evicted = True

    def commit(self, effects: Sequence[Effect]) -> Committed:
        """Write everything that changed; a slot that comes free thereby is given on at once."""
        committed = Committed()
        # to call a condition changes nothing; what it says of a wait that is not written is not heard
        calls = [effect for effect in effects if isinstance(effect, CallCondition)]
        effects = [effect for effect in effects if not isinstance(effect, CallCondition)]
        while (unsaved := self._planner.take_unsaved()) or self._is_evicted:
            written = self._write(unsaved, committed)
            committed.has_written |= bool(written.saved)
            for execution in written.saved:
                self._meter.saved(execution)
                changes = execution.unsaved.offers
                committed.has_news |= changes is not None and changes.concern_others
                self._planner.saved(execution)
            self._yield_slots(written)
            committed.gone |= self._let_go(written)
            # by identity: one that was lost and claimed again has two states under one id
            saved = set(map(id, written.saved))
            contested = set(map(id, [*written.contested, *written.contended]))
            void: list[str] = []
            kept: list[Effect] = []
            for effect in effects:
                is_void = id(effect.execution) not in saved
                if id(effect.execution) in contested:
                    kept.append(effect)
                elif isinstance(effect, StartAttempt) and (is_void or effect.is_over):
                    void.append(effect.token)
                elif not is_void:
                    committed.due.append(effect)
            now = self._clock.now()
            if written.contested:
                committed.has_conceded = True
                self._planner.concede(written.contested, written.claimed, now)
            effects = kept + self._planner.withdraw(void, now)
            if self._is_evicted:
                break  # there was no time left to join again
        committed.due += calls
        return committed

    def _yield_slots(self, written: Written) -> None:
        """Have the planner take back what holds slots of keys and rates that others have."""
        if not written.contended:
            return
        claims = [start.claim for each in written.contended for start in each.unsaved.starts]
        question = Question(
            keys={claim.key for claim in claims if claim.key is not None},
            rates={
                (claim.rate_key, claim.rate_slot)
                for claim in claims
                if claim.rate_key is not None and claim.rate_slot is not None
            },
        )
        patience = Patience()
        while True:
            try:
                taken = self._neighbours.taken(question)
            except EngineError as error:  # without an answer, it cannot go on
                if not self._has_paused(patience, error):
                    written.postponed.extend(written.contended)
                    written.contended.clear()  # what they were to start is void
                    self._planner.start_nothing_more()
                    return
            else:
                self._planner.give_way(written.contended, taken, self._clock.now())
                return

    def _let_go(self, written: Written) -> dict[str, EngineError]:
        """Have the planner forget what could not be written; return why."""
        gone: dict[str, EngineError] = {e.id: OwnershipLostError(e.id) for e in written.lost}
        gone |= {execution.id: error for execution, error in written.rejected}
        gone |= {execution.id: RunnerClosedError() for execution in written.postponed}
        refused = (execution for execution, _ in written.rejected)
        for execution in (*written.lost, *refused, *written.postponed):
            if not isinstance(gone[execution.id], DuplicateExecutionError):  # else it was foreseen
                _LOG.error("%s", gone[execution.id], extra=fields_of(execution.identity))
            self._planner.forget(execution.id)
        return gone

    def _write(self, unsaved: Sequence[ExecutionState], committed: Committed) -> Written:
        """Write until the database has taken or refused everything; nothing is lost meanwhile.

        Only a runner that has to end gives up: the next one goes on from the last commit.
        """
        written = Written(postponed=list(unsaved))
        lost: Sequence[ExecutionState] = ()
        patience = Patience()
        while written.postponed or self._is_evicted:
            try:
                if self._is_evicted:
                    self._neighbours.join_again()
                    self._is_evicted = False
                    committed.has_joined_again = True
                    # what was stored is others' now, or nobody's; what is new can still be
                    lost = self._planner.stored
                    new = [each for each in unsaved if each.stored_status is None]
                    written = Written(postponed=new)
                left, written.postponed = written.postponed, []
                with self._meter.commit_of(len(left)):
                    written.add(self._writer.commit(left))
            except EvictedError as error:
                self.note_eviction(error)
                written = Written(postponed=list(unsaved))
                continue
            except EngineError as error:  # the cause may go, and what is to be written stays
                written.obstacle = str(error)
            is_left = written.postponed or self._is_evicted
            if is_left and not self._has_paused(patience, written.obstacle):
                self._writer.abandon()  # or it would pass for what is written next
                self._planner.start_nothing_more()  # the order to stop is still in the inbox
                break
        written.lost.extend(lost)
        return written

    def _has_paused(self, patience: Patience, obstacle: object) -> bool:
        """Wait before the next try; return ``False`` at once if there is no time left for one."""
        pause_s = patience.take()
        _LOG.warning("%s; trying again in %g s", obstacle, pause_s)
        end_us = self._give_up_at_us
        if end_us is not None and self._clock.now().monotonic_us >= end_us:
            return False
        self._clock.pause(pause_s)
        return True
