"""The other runners on a SQLite file: join them, take over from the dead, tell the living."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from cloacina.errors import EngineError, EvictedError, StoreUnavailableError
from cloacina.log import Logger
from cloacina.ownership.member import Member
from cloacina.ownership.neighbours import Accepts
from cloacina.ownership.presence import Presence, Remains, remains_of
from cloacina.ownership.watch import Watch
from cloacina.planner.events import StoredExecution
from cloacina.store import ownership
from cloacina.store.sqlite import SqliteDatabase

_LOG = Logger("cloacina")


class FileNeighbours(Member):
    """This runner among those that share its file (see ``Neighbours``)."""

    _if_unwritten = "what this runner had is taken over by the next one"

    def __init__(
        self,
        database: SqliteDatabase,
        runner_id: str,
        accepts: Accepts,
        clock_us: Callable[[], int],
    ) -> None:
        """Claim only what ``accepts`` says yes to; ``clock_us`` reads the wall clock."""
        super().__init__(database, runner_id, clock_us)
        self._database = database
        self._accepts = accepts
        with _wrapping("join the other runners of"):
            self._presence = Presence(database.path, runner_id)
        self._watch: Watch | None = None
        self._notice: Callable[[], None] = lambda: None
        self._is_waiting = False
        self._at_us, self._slots = 0, 0

    def join(self, at_us: int, notice: Callable[[], None], *, slots: int) -> None:
        """Register with the others; ``notice`` is called whenever one rings, appears or dies."""
        self._at_us, self._slots = at_us, slots
        self._notice = notice
        self._register()
        self._watch = self._begin_to_watch()

    def join_again(self) -> None:
        """Register with a new lock and a new bell: what lay there was removed by somebody."""
        assert self._watch is not None  # noqa: S101 - join comes first
        with _wrapping("join the other runners again on"):
            self._watch.close()
            self._presence.close()
            self._presence = Presence(self._database.path, self._runner_id)
        self._watch = self._begin_to_watch()
        if self._is_waiting:
            self._watch.ask_for_ends()
        self._register()

    def _register(self) -> None:
        with self._database.write() as connection:
            # who was struck out while it lived can have added executions since: nobody has them
            ownership.release(connection, [self._runner_id])
            ownership.register(
                connection,
                self._runner_id,
                self._at_us,
                host=socket.gethostname(),
                process_id=os.getpid(),
                slots=self._slots,
            )

    def _begin_to_watch(self) -> Watch:
        return Watch(self._presence, self._notice, self._on_change)

    def take_over(self) -> Sequence[StoredExecution]:
        """Release what dead runners held; claim and return what nobody owns and we can plan."""
        with _wrapping("look after the other runners of"), ExitStack() as held:
            return self._take_over(held)

    def _take_over(self, held: ExitStack) -> Sequence[StoredExecution]:
        """Take over; what remains of the dead is ``held`` until that is written, or has failed."""
        assert self._watch is not None  # noqa: S101 - join comes first
        with self._database.read() as connection:
            slots = ownership.slots(connection)
            if self._runner_id not in slots:
                raise EvictedError(self._runner_id)
            peers = [peer for peer in slots if peer != self._runner_id]
            self._watch.follow(peers)
            dead: list[Remains] = []
            for peer in peers:
                remains = remains_of(self._database.sidecar, peer)
                if remains is not None:
                    held.callback(remains.leave)
                    dead.append(remains)
            gone = {self._runner_id, *(remains.runner_id for remains in dead)}
            self._note_peers(slots[peer] for peer in slots.keys() - gone)
            is_needed = dead or any(map(self._accepts, ownership.unowned(connection)))
        if not is_needed:
            return ()
        with self._database.write() as connection:
            ownership.release(connection, [remains.runner_id for remains in dead])
            claimed = ownership.claim(connection, self._runner_id, self._accepts)
            # read before anybody else can claim and end them
            loaded = self._load(connection, claimed)
        self._bury(dead)
        return loaded

    def _bury(self, dead: Sequence[Remains]) -> None:
        """Remove what is left of those who were struck out: litter, if that cannot be done."""
        for remains in dead:
            try:
                remains.bury()
            except OSError as error:
                _LOG.warning("cannot remove what runner %s left: %s", remains.runner_id, error)
        if dead:
            self._ring_all()  # who saw them die while we had their remains knows it now

    def ask_for_ends(self) -> None:
        """Have the others ring when executions of theirs end."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._is_waiting = True
        self._watch.ask_for_ends()

    def tell_of_ends(self) -> None:
        """Wake those others that asked: executions of ours ended."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.tell_of_ends()

    def ask_for_changes(self) -> None:
        """Have the others ring whenever they write something (see ``Neighbours``)."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ask_for_changes()

    def tell_of_changes(self) -> None:
        """Tell whoever asked for it: something was written."""
        assert self._watch is not None  # noqa: S101 - join comes first
        self._on_change()
        self._watch.tell_of_changes()

    def _ring_all(self) -> None:
        assert self._watch is not None  # noqa: S101 - join comes first
        self._watch.ring_all()

    def _part(self) -> None:
        if self._watch is not None:
            self._watch.ring_all()
            self._watch.close()
        try:
            self._presence.close()  # the lock that is let go says enough
        except OSError as error:
            _LOG.warning("cannot remove what runner %s leaves: %s", self._runner_id, error)


@contextmanager
def _wrapping(done: str) -> Iterator[None]:
    """Say of what locks and bells raise what could not be ``done``; it may succeed later."""
    try:
        yield
    except EngineError:
        raise
    except OSError as error:
        raise StoreUnavailableError(f"could not {done} the database: {error}") from error
