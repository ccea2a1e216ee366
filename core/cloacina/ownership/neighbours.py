"""The other runners on a SQLite file: join them, take over from the dead, tell the living."""

import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

from cloacina.model.states import ExecutionStatus
from cloacina.ownership.presence import Presence, remains_of
from cloacina.ownership.watch import Watch
from cloacina.planner.events import StoredExecution
from cloacina.store import ownership, reader
from cloacina.store.sqlite import SqliteDatabase

Accepts = Callable[[ownership.Unowned], bool]


class Neighbours:
    """This runner among those that share its file, from ``join`` until ``leave``."""

    def __init__(self, database: SqliteDatabase, runner_id: str, accepts: Accepts) -> None:
        """Claim only what ``accepts`` says yes to."""
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
                # read before anybody else can claim and end them, or not at all
                taken = list(map(partial(reader.load, connection), claimed))
            for remains in dead:
                remains.bury()
        finally:
            for remains in dead:
                remains.leave()
        return taken

    def finished(self, execution_id: str) -> StoredExecution | None:
        """Return an execution if it has ended, whoever ran it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._database.read() as connection:
            stored = reader.load(connection, execution_id)
        return stored if ExecutionStatus(stored.status).is_final else None

    def ask_for_ends(self) -> None:
        """Have the others ring when executions of theirs end."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ask_for_ends()

    def tell_of_ends(self) -> None:
        """Wake those others that asked: executions of ours ended."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.tell_of_ends()

    def leave(self) -> None:
        """Leave what is still owned for the others, and go."""
        with self._database.write() as connection:
            ownership.release(connection, [self._runner_id])
        if self._watch is not None:
            self._watch.ring_all()
            self._watch.close()
        self._presence.close()
