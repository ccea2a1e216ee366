"""One thread that sleeps until another runner rings or dies."""

import os
import select
import threading
from collections.abc import Callable, Iterable, Sequence

from cloacina.log import Logger
from cloacina.ownership.interest import Interest
from cloacina.ownership.neighbours import ASKED_FOR_S
from cloacina.ownership.presence import (
    CHANGED,
    LOOK,
    TELL_ME,
    TELL_ME_ALL,
    Presence,
    is_bell_of,
    open_bell,
    ring,
    wait_for_end,
)

_LOG = Logger("cloacina")


class Watch:
    """Watches this runner's bell and every peer's life, and says when to look at the database."""

    def __init__(
        self, presence: Presence, notice: Callable[[], None], on_change: Callable[[], None]
    ) -> None:
        """Call both from the watching thread.

        Args:
            presence: of this runner.
            notice: called whenever a peer rang, appeared or died.
            on_change: called whenever a peer may have written something.
        """
        self._presence = presence
        self._notice = notice
        self._on_change = on_change
        self._changes = Interest(ASKED_FOR_S)
        self._lock = threading.Lock()
        self._peers: dict[str, int] = {}
        self._poll = select.poll()
        self._poll.register(presence.bell, select.POLLIN)
        self._is_closing = False
        self._is_waiting = False
        self._is_asked = False
        self._thread = threading.Thread(target=self._run, name="cloacina-watch", daemon=True)
        self._thread.start()

    def follow(self, peers: Iterable[str]) -> None:
        """Watch exactly these runners, and ring those that are new to us so that they follow back.

        One that has no bell any more is not watched: whoever calls must then look at its lock.
        """
        wanted = set(peers) - {self._presence.runner_id}
        with self._lock:
            for gone in self._peers.keys() - wanted:
                self._drop(gone)
            added = [self._add(runner_id) for runner_id in wanted - self._peers.keys()]
        if any(added):
            ring(self._presence.bell)  # the poll in progress does not know the new peers

    def ask_for_ends(self) -> None:
        """Have every peer, and those that come later, ring when executions of theirs end."""
        self._is_waiting = True
        self.ring_all(TELL_ME)

    def tell_of_ends(self) -> None:
        """Wake the peers if any ever asked for it."""
        if self._is_asked:
            self.ring_all()

    def ask_for_changes(self) -> None:
        """Have every peer, and those that come soon, ring when they write something."""
        self._changes.want()
        self.ring_all(TELL_ME_ALL)

    def tell_of_changes(self) -> None:
        """Wake the peers if any asked for it lately."""
        if self._changes.is_asked:
            self.ring_all(CHANGED)

    def ring_all(self, why: bytes = LOOK) -> None:
        """Wake every peer."""
        with self._lock:
            for bell in self._peers.values():
                ring(bell, why)

    def close(self) -> None:
        """Stop watching; done again, it does nothing."""
        if self._is_closing:
            return
        self._is_closing = True
        ring(self._presence.bell)
        self._thread.join()
        with self._lock:
            for runner_id in list(self._peers):
                self._drop(runner_id)

    def _add(self, runner_id: str) -> bool:
        bell = open_bell(self._presence.directory, runner_id)
        if bell is None:
            return False
        self._peers[runner_id] = bell
        self._poll.register(bell, 0)  # errors are always reported, and an error is its death
        ring(bell, TELL_ME if self._is_waiting else LOOK)
        if self._changes.is_wanted:
            ring(bell, TELL_ME_ALL)
        return True

    def _drop(self, runner_id: str) -> None:
        bell = self._peers.pop(runner_id)
        self._poll.unregister(bell)
        os.close(bell)

    def _run(self) -> None:
        while True:
            ready = self._poll.poll()
            if self._is_closing:
                return
            try:
                is_time_to_look = self._hear([fd for fd, _ in ready if fd != self._presence.bell])
            except OSError as error:  # no descriptor is free, say: who looks finds out what matters
                _LOG.warning("cannot watch the other runners: %s; looking at the database", error)
                is_time_to_look = True
            self._on_change()
            if is_time_to_look:
                self._notice()

    def _hear(self, gone: Sequence[int]) -> bool:
        """Take what was rung, and bury those whose bells are ``gone``; return whether to look."""
        rung = self._presence.answer()
        if TELL_ME in rung:
            self._is_asked = True
            self.ring_all()  # what ended before we were asked has not been told
        if TELL_ME_ALL in rung and self._changes.ask():
            self.ring_all(CHANGED)  # likewise
        self._bury(gone)
        return bool(gone or rung.strip(TELL_ME_ALL + CHANGED))

    def _bury(self, descriptors: Iterable[int]) -> None:
        dead = set(descriptors)
        with self._lock:
            gone = [name for name, bell in self._peers.items() if bell in dead]
            try:
                # one that joined again hung up another bell: it does not end
                ending = [name for name in gone if self._hangs_there(name)]
            finally:
                for runner_id in gone:
                    self._drop(runner_id)
        for runner_id in ending:
            wait_for_end(self._presence.directory, runner_id)  # or it would still pass for alive

    def _hangs_there(self, runner_id: str) -> bool:
        return is_bell_of(self._presence.directory, runner_id, self._peers[runner_id])
