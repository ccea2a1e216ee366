"""One thread that renews a runner's lease, rings the others and hears them.

It lives on a database connection of its own, and makes a new one whenever that breaks. A runner
that cannot renew in time is evicted by the others; it learns of it here or at its next commit.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Protocol

from cloacina.errors import StoreUnavailableError
from cloacina.log import Logger
from cloacina.model.patience import Patience
from cloacina.ownership.interest import Interest
from cloacina.ownership.neighbours import ASKED_FOR_S

_LOG = Logger("cloacina")

HELLO: Final = "h"
"""Rung by a runner that begins to listen: who waits for ends asks it too."""
LOOK: Final = "l"
"""Rung when something changed that the others may want to look at."""
TELL_ME: Final = "t"
"""Rung by a runner that waits for an execution that it does not own."""

TELL_ME_ALL: Final = "w"
"""Rung by a runner where somebody follows what happens."""
CHANGED: Final = "c"
"""Rung for those when something was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How often a runner says that it lives, and how long its silence is borne."""

    lease_s: float = 15.0
    heartbeat_s: float = 5.0
    poll_s: float = 5.0
    """How long an unheard change may go unnoticed."""


class Line(Protocol):
    """An open connection for this thread; every call may raise ``StoreUnavailableError``."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when somebody rings."""
        ...

    def renew(self) -> bool:
        """Prolong the lease; ``False`` if the others took it away."""
        ...

    def ring(self, why: str) -> None:
        """Have every other runner hear ``why``."""

    def heard(self) -> Iterable[str]:
        """Return what the others rang since the last call, without waiting."""
        ...

    def close(self) -> None:
        """Close the connection."""


class Pulse:
    """The thread, from construction until ``close``."""

    def __init__(
        self,
        open_line: Callable[[], Line],
        times: LeaseTimes,
        notice: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Call both from the thread.

        Args:
            open_line: connects.
            times: of the lease.
            notice: called whenever it is time to look at the database.
            on_change: called whenever another runner may have written something.
        """
        self._on_change = on_change
        self._changes = Interest(ASKED_FOR_S)
        self._open_line = open_line
        self._times = times
        self._notice = notice
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._closing = threading.Event()
        self._is_waiting = False
        self._is_asked = False
        self._patience = Patience(longest_s=times.heartbeat_s)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="cloacina-pulse", daemon=True)
        self._thread.start()

    def ask_for_ends(self) -> None:
        """Have the others, and those that come later, ring when executions of theirs end."""
        self._is_waiting = True
        self.ring(TELL_ME)

    def tell_of_ends(self) -> None:
        """Wake the others if any ever asked for it."""
        if self._is_asked:
            self.ring(LOOK)

    def ask_for_changes(self) -> None:
        """Have the others, and those that come soon, ring when they write something."""
        self._changes.want()
        self.ring(TELL_ME_ALL)

    def tell_of_changes(self) -> None:
        """Wake the others if any asked for it lately."""
        if self._changes.is_asked:
            self.ring(CHANGED)

    def ring(self, why: str) -> None:
        """Ring soon; what is rung again meanwhile is rung once."""
        with self._lock:
            is_first = not self._wanted
            self._wanted.add(why)
        if is_first:
            self._wake_up()

    def close(self) -> None:
        """Ring what is to be rung, if the database is there, and stop."""
        self._closing.set()
        self._wake_up()
        self._thread.join()
        os.close(self._wake)
        os.close(self._woken)

    def _run(self) -> None:
        while True:
            try:
                with closing(self._open_line()) as line:
                    self._live(line)
            except StoreUnavailableError as error:
                if self._closing.is_set():
                    return
                pause_s = self._patience.take()
                _LOG.warning("%s; trying again in %g s", error, pause_s)
                self._wait(None, pause_s)
            else:
                return

    def _live(self, line: Line) -> None:
        line.ring(HELLO)
        if self._is_waiting:
            line.ring(TELL_ME)
        if self._changes.is_wanted:
            line.ring(TELL_ME_ALL)
        beat_at = look_at = time.monotonic()
        while True:
            is_closing = self._closing.is_set()  # what is wanted before that is still rung
            for why in self._taken():
                line.ring(why)
            if is_closing:
                return
            now = time.monotonic()
            if now >= beat_at:
                is_ours = line.renew()
                self._patience.reset()
                beat_at = now + self._times.heartbeat_s
                if not is_ours:
                    look_at = now  # the kernel finds out what that means
            if now >= look_at:
                look_at = now + self._times.poll_s
                self._on_change()
                self._notice()
            self._wait(line, min(beat_at, look_at) - now)
            self._answer(set(line.heard()))

    def _answer(self, heard: set[str]) -> None:
        if TELL_ME in heard:
            self._is_asked = True
            self.ring(LOOK)  # what ended before we were asked has not been told
        if HELLO in heard and self._is_waiting:
            self.ring(TELL_ME)
        if HELLO in heard and self._changes.is_wanted:
            self.ring(TELL_ME_ALL)
        if TELL_ME_ALL in heard and self._changes.ask():
            self.ring(CHANGED)  # likewise
        if heard:
            self._on_change()
        if heard - {TELL_ME_ALL, CHANGED}:
            self._notice()

    def _taken(self) -> set[str]:
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        return wanted

    def _wait(self, line: Line | None, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if line is not None:
            poll.register(line.fileno(), select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            return  # it was the time, or the line

    def _wake_up(self) -> None:
        try:
            os.write(self._wake, b"w")
        except BlockingIOError:
            return  # the pipe is full: it will wake anyway
