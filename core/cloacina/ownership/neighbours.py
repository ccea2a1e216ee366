"""The other runners on a SQLite file: join them, take over from the dead, tell the living."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence

from cloacina.errors import StoreUnavailableError
from cloacina.model.states import ExecutionStatus, Wish
from cloacina.ownership.presence import Presence, remains_of
from cloacina.ownership.watch import Watch
from cloacina.planner.events import StoredExecution
from cloacina.store import commands, ownership, reader
from cloacina.store.sqlite import SqliteDatabase

_LOG = logging.getLogger("cloacina")
Accepts = Callable[[ownership.Unowned], bool]


class Neighbours:
    """This runner among those that share its file, from ``join`` until ``leave``."""

    def __init__(
        self,
        database: SqliteDatabase,
        runner_id: str,
        accepts: Accepts,
        clock_us: Callable[[], int],
    ) -> None:
        """Claim only what ``accepts`` says yes to; ``clock_us`` reads the wall clock."""
        self._clock_us = clock_us
        self._leaving = threading.Lock()
        self._has_left = False
        self._database = database
        self._runner_id = runner_id
        self._accepts = accepts
        self._presence = Presence(database.sidecar, runner_id)
        self._watch: Watch | None = None

    def join(self, at_us: int, notice: Callable[[], None]) -> None:
        """Register with the others; ``notice`` is called whenever one rings, appears or dies."""
        with self._database.write() as connection:
            ownership.register(
                connection, self._runner_id, socket.gethostname(), os.getpid(), at_us
            )
        self._watch = Watch(self._presence, notice)

    def take_over(self) -> Sequence[StoredExecution]:
        """Release what dead runners held; claim and return what nobody owns and we can plan."""
        assert self._watch is not None  # noqa: S101 - join comes first
        with self._database.read() as connection:
            peers = [p for p in ownership.runner_ids(connection) if p != self._runner_id]
            self._watch.follow(peers)
            found = [remains_of(self._database.sidecar, peer) for peer in peers]
            dead = [remains for remains in found if remains is not None]
            is_needed = dead or any(map(self._accepts, ownership.unowned(connection)))
        if not is_needed:
            return ()
        try:
            with self._database.write() as connection:
                ownership.release(connection, [remains.runner_id for remains in dead])
                claimed = ownership.claim(connection, self._runner_id, self._accepts)
                # read before anybody else can claim and end them, or not claimed at all
                loaded = [self._load(connection, execution_id) for execution_id in claimed]
            for remains in dead:
                remains.bury()
        finally:
            for remains in dead:
                remains.leave()
        return [stored for stored in loaded if stored is not None]

    @staticmethod
    def _load(connection: reader.Connection, execution_id: str) -> StoredExecution | None:
        try:
            return reader.load(connection, execution_id)
        except ValueError as error:  # one damaged row must not keep the others from going on
            _LOG.error("execution %s cannot be read: %s", execution_id, error)
            return None

    def finished(self, execution_id: str) -> StoredExecution | None:
        """Return an execution if it has ended, whoever ran it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._database.read() as connection:
            stored = reader.load(connection, execution_id)
        return stored if ExecutionStatus(stored.status).is_final else None

    def leave_command(self, command_id: str, execution_id: str, wish: Wish, at_us: int) -> None:
        """Leave a wish for whoever owns an execution, or will, and wake the others."""
        with self._database.write() as connection:
            commands.leave(connection, command_id, execution_id, wish, at_us)
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ring_all()

    def commands(self, is_ours: Callable[[str], bool]) -> Sequence[commands.Command]:
        """Return the wishes that others left for executions of ours, oldest first."""
        with self._database.read() as connection:
            found = commands.open_commands(connection)
        return [command for command in found if is_ours(command.execution_id)]

    def answer(self, command_ids: Sequence[str]) -> None:
        """Close commands whose effect is committed, and wake those who wait for them."""
        with self._database.write() as connection:
            commands.close(connection, command_ids, self._clock_us())
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ring_all()

    def ask_for_ends(self) -> None:
        """Have the others ring when executions of theirs end."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ask_for_ends()

    def tell_of_ends(self) -> None:
        """Wake those others that asked: executions of ours ended."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.tell_of_ends()

    def leave(self) -> None:
        """Leave what is still owned for the others, and go. Calling it again does nothing.

        A database that cannot be written is left all the same: the lock that is let go says enough.
        """
        with self._leaving:
            if self._has_left:
                return
            self._has_left = True
        try:
            with self._database.write() as connection:
                ownership.release(connection, [self._runner_id])
        except StoreUnavailableError as error:
            _LOG.warning("%s; what this runner had is taken over by the next one", error)
        if self._watch is not None:
            self._watch.ring_all()
            self._watch.close()
        self._presence.close()
