"""What a runner does among the others in the same way on every database."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import ClassVar, Final

from cloacina.errors import (
    EngineError,
    ExecutionNotRetryableError,
    UnreadableExecutionError,
)
from cloacina.log import Logger
from cloacina.model.states import Answer, ExecutionStatus
from cloacina.ownership.offering import Look, Offering, Sight
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store import commands, direct, limits, migration, ownership, reader
from cloacina.store.contract import Database
from cloacina.store.migration import FindTarget
from cloacina.store.offers import Accepts

_LOG = Logger("cloacina")
_PATIENCE_TO_LEAVE_S: Final = 1.0
"""The others find out anyway, and whoever holds the lock may be waiting for this runner."""


class Member(ABC):
    """The common half of ``Neighbours``: the inbox of commands, the ends of others, leaving."""

    _if_unwritten: ClassVar[str]
    """What becomes of this runner's executions if it cannot say that it leaves."""

    def __init__(self, database: Database, runner_id: str, clock_us: Callable[[], int]) -> None:
        """Be known as ``runner_id``; ``clock_us`` reads the wall clock."""
        self._store = database
        self._runner_id = runner_id
        self._clock_us = clock_us
        self._on_change: Callable[[], None] = _nothing
        self._offering = Offering(database, runner_id, clock_us)
        self._peer_slots = 0
        self._leaving = threading.Lock()
        self._has_left = False

    def _note_peers(self, slots: Iterable[int]) -> None:
        """Remember how many attempts the others may run at once."""
        self._peer_slots = sum(slots)

    @abstractmethod
    def _ring_all(self) -> None:
        """Have every other runner look around."""

    @abstractmethod
    def _part(self) -> None:
        """Tell the others that this runner goes, and let go of everything."""

    def when_changed(self, on_change: Callable[[], None]) -> None:
        """Have ``on_change`` called when something was written (see ``Neighbours``)."""
        self._on_change = on_change

    def finished(self, execution_id: str) -> StoredExecution | None:
        """Return an execution if it has ended, whoever ran it (see ``Neighbours``)."""
        with self._store.read() as connection:
            stored = reader.load(connection, execution_id)
        return stored if ExecutionStatus(stored.status).is_final else None

    def settle(self, request: Requested, now: Now, *, is_new: bool) -> direct.Settled:
        """Grant or leave what is asked of an execution that is not ours (see ``Neighbours``)."""
        try:
            with self._store.write() as connection:
                settled = direct.settle(connection, request, self._runner_id, now, is_new=is_new)
        except ValueError as error:
            settled = self._refuse(request, error, now)
        if settled.verdict is not None or is_new:
            self._ring_all()
        return settled

    def migrate(
        self, request: Requested, find_target: FindTarget, now: Now, *, is_new: bool
    ) -> direct.Settled:
        """Change an execution to another version of its workflow (see ``Neighbours``)."""
        try:
            with self._store.write() as connection:
                settled = migration.migrate(
                    connection, request, self._runner_id, find_target, now, is_new=is_new
                )
        except ValueError as error:
            settled = self._refuse(request, error, now)
        if settled.verdict is not None or is_new:
            self._ring_all()
        return settled

    def _refuse(self, request: Requested, error: ValueError, now: Now) -> direct.Settled:
        """Answer that an execution is damaged, which must not keep a command open for ever."""
        detail = error.problem if isinstance(error, UnreadableExecutionError) else str(error)
        _LOG.error("execution %s cannot be read: %s", request.execution_id, detail)
        problem = f"what is stored of the execution cannot be read, but cancelled: {detail}"
        verdict = Verdict(Answer.REFUSED, problem)
        with self._store.write() as connection:
            commands.close(connection, request.command_id or "", verdict, now.utc_us)
        return direct.Settled(verdict)

    def retry(self, execution_id: str, at_us: int, *, from_failed: bool) -> ExecutionState:
        """Have an execution run again, and wake those who may go on with it."""
        try:
            with self._store.write() as connection:
                execution = direct.retry(
                    connection, execution_id, self._runner_id, at_us, from_failed=from_failed
                )
        except (ExecutionNotRetryableError, UnreadableExecutionError):
            raise
        except ValueError as error:
            raise EngineError(f"execution {execution_id} cannot be read: {error}") from error
        self._ring_all()
        return execution

    def commands(self) -> Sequence[Requested]:
        """Return what others left in the inbox (see ``Neighbours``)."""
        with self._store.read() as connection:
            return commands.open_commands(connection, self._runner_id)

    def taken(self, question: Question) -> Taken:
        """Return who has slots of concurrency keys and rates (see ``Neighbours``)."""
        with self._store.read() as connection:
            return limits.taken(connection, question)

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """Return the answers to those of our commands that have one."""
        with self._store.read() as connection:
            return commands.answers(connection, command_ids)

    def tell_of_answers(self) -> None:
        """Wake the others: commands of theirs were answered."""
        self._ring_all()

    def see_offers(self, look: Look) -> Sight:
        """Look at offers (see ``Neighbours``)."""
        return self._offering.see(self._peer_slots, look)

    def claim_offers(
        self, accepts: Accepts, new_token: Callable[[], str], known: Collection[str]
    ) -> Sequence[ClaimedOffer]:
        """Claim what ``accepts`` says yes to, and wake the owners (see ``Neighbours``)."""
        claimed = self._offering.claim(accepts, new_token, known)
        if claimed:
            self._ring_all()
        return claimed

    def report_guests(self, reports: Sequence[GuestReport]) -> None:
        """Tell owners how claimed attempts ended, and wake them (see ``Neighbours``)."""
        self._offering.report(reports)
        self._ring_all()

    def tell_of_offers(self) -> None:
        """Wake the others to look at offers."""
        self._ring_all()

    def leave(self) -> None:
        """Leave what is still owned for the others, and go (see ``Neighbours``)."""
        with self._leaving:
            if self._has_left:
                return
            self._has_left = True
        try:
            with self._store.write(patience_s=_PATIENCE_TO_LEAVE_S) as connection:
                ownership.release(connection, [self._runner_id])
        except EngineError as error:
            _LOG.warning("%s; %s", error, self._if_unwritten)
        self._part()

    @staticmethod
    def _load(connection: reader.Connection, claimed: Sequence[str]) -> list[StoredExecution]:
        """Return what was claimed, but for damaged rows: they must not keep the others back."""
        loaded = []
        for execution_id in claimed:
            try:
                loaded.append(reader.load_claimed(connection, execution_id))
            except ValueError as error:
                detail = error.problem if isinstance(error, UnreadableExecutionError) else error
                _LOG.error("execution %s cannot be read: %s", execution_id, detail)
        return loaded


def _nothing() -> None:
    """Stand where nobody listens."""
