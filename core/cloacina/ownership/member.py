"""What a runner does among the others in the same way on every database."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from cloacina.errors import EngineError
from cloacina.model.states import ExecutionStatus, Wish
from cloacina.ownership.offering import Look, Offering, Sight
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import StoredExecution
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.store import commands, limits, offers, ownership, reader
from cloacina.store.contract import Database
from cloacina.store.offers import Accepts

_LOG = logging.getLogger("cloacina")


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

    def leave_command(self, command_id: str, execution_id: str, wish: Wish, at_us: int) -> None:
        """Leave a wish for whoever owns an execution, or will, and wake the others."""
        with self._store.write() as connection:
            commands.leave(connection, command_id, execution_id, wish, at_us)
        self._ring_all()

    def commands(self, is_ours: Callable[[str], bool]) -> Sequence[commands.Command]:
        """Return the wishes that others left for executions of ours, oldest first."""
        with self._store.read() as connection:
            found = commands.open_commands(connection)
        return [command for command in found if is_ours(command.execution_id)]

    def taken(self, question: Question) -> Taken:
        """Return who has slots of concurrency keys and rates (see ``Neighbours``)."""
        with self._store.read() as connection:
            return limits.taken(connection, question)

    def answer(self, command_ids: Sequence[str]) -> None:
        """Close commands whose effect is committed, and wake those who wait for them."""
        with self._store.write() as connection:
            commands.close(connection, command_ids, self._clock_us())
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
            with self._store.write() as connection:
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
                stored = reader.load(connection, execution_id)
                found = offers.of_execution(connection, execution_id)
                loaded.append(replace(stored, offers=found))
            except ValueError as error:
                _LOG.error("execution %s cannot be read: %s", execution_id, error)
        return loaded


def _nothing() -> None:
    """Stand where nobody listens."""
