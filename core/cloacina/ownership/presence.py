"""A runner's presence beside a SQLite file: a locked file and a named pipe.

* The lock (``<runner>.lock``, ``flock``) is held as long as the process lives; the kernel drops it
  at once when the process dies, however it dies. It is never taken on the database file: closing
  any descriptor of that would drop SQLite's own locks.
* The bell (``<runner>.bell``) is a named pipe. Writing a byte wakes its runner. Whoever keeps it
  open for writing is told by the kernel the moment its reader is gone, so a death needs no polling.
* A lock is taken before its runner is announced in the database, and its files are removed after
  the runner was struck out there.
* Whoever may open the database file may open both: they have its mode and its group.
"""

import errno
import fcntl
import os
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from cloacina.store.sqlite import open_directory, share, sidecar_of

_RING: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_HERE: "weakref.WeakSet[Presence]" = weakref.WeakSet()


class Presence:
    """This runner, as other processes see it. Closed by ``close`` or by the death of the process."""

    def __init__(self, database: Path, runner_id: str) -> None:
        """Take the lock of ``runner_id`` beside ``database`` and hang up its bell.

        Raises:
            OSError: if that cannot be done; nothing is held then.
        """
        self.directory = sidecar_of(database)
        self.runner_id = runner_id
        os.close(open_directory(self.directory))
        with ExitStack() as undo:
            path = _lock(self.directory, runner_id)
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, self._lock)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            bell = _bell(self.directory, runner_id)
            bell.unlink(missing_ok=True)  # left by a try that failed: the lock is ours
            os.mkfifo(bell, 0o600)
            # open for both, so that the pipe never reports the end of its last writer
            self.bell = os.open(bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            undo.callback(os.close, self.bell)
            share(self._lock, database)
            share(self.bell, database)
            undo.pop_all()
        self._is_open = True
        _OPEN_HERE.add(self)

    def answer(self) -> bytes:
        """Take and return what was rung since the last call."""
        rung = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self.bell, 4096):
                rung += chunk
        return rung

    def close(self) -> None:
        """Remove lock and bell. The runner must not be registered any more."""
        if not self._is_open:
            return
        try:
            for path in (
                _bell(self.directory, self.runner_id),
                _lock(self.directory, self.runner_id),
            ):
                path.unlink(missing_ok=True)
        finally:
            self._drop()

    def _drop(self) -> None:
        self._is_open = False
        os.close(self.bell)
        os.close(self._lock)

    @classmethod
    def _forget_after_fork(cls) -> None:
        """In a forked child: let go, so that the parent's death is not hidden by the child's life."""
        for presence in list(_OPEN_HERE):
            if presence._is_open:
                presence._drop()


os.register_at_fork(after_in_child=Presence._forget_after_fork)


class Remains:
    """The lock of a dead runner, held while what it owned is released."""

    def __init__(self, directory: Path, runner_id: str, descriptor: int | None) -> None:
        """Made by ``remains_of`` only."""
        self._directory = directory
        self.runner_id = runner_id
        self._descriptor = descriptor

    def bury(self) -> None:
        """Remove the dead runner's files; call once its release is committed.

        One that lives all the same (somebody removed its lock) is rung, and joins again.
        """
        if not self._is_back():
            self._ring()
            for path in (
                _bell(self._directory, self.runner_id),
                _lock(self._directory, self.runner_id),
            ):
                path.unlink(missing_ok=True)
        self.leave()

    def _is_back(self) -> bool:
        try:
            found = _lock(self._directory, self.runner_id).stat()
        except FileNotFoundError:
            return False
        held = self._descriptor
        return held is None or not os.path.samestat(found, os.fstat(held))

    def _ring(self) -> None:
        with suppress(FileNotFoundError):
            try:
                bell = os.open(_bell(self._directory, self.runner_id), _RING)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody listens: it is dead indeed
                    raise
            else:
                ring(bell)
                os.close(bell)

    def leave(self) -> None:
        """Let go of the lock without removing anything."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def remains_of(directory: Path, runner_id: str) -> Remains | None:
    """Return a dead runner's remains, or ``None`` if it lives (or another process has them)."""
    try:
        descriptor = os.open(_lock(directory, runner_id), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return Remains(directory, runner_id, None)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Remains(directory, runner_id, descriptor)


def wait_for_end(directory: Path, runner_id: str) -> None:
    """Wait until a runner whose bell has lost its reader has let go of its lock too.

    A dying process gives back its descriptors one after another, the bell perhaps before the lock.
    """
    try:
        descriptor = os.open(_lock(directory, runner_id), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def open_bell(directory: Path, runner_id: str) -> int | None:
    """Open another runner's bell for ringing and watching; ``None`` if it is gone.

    Where nobody listens any more, its lock is gone too when this returns.
    """
    try:
        return os.open(_bell(directory, runner_id), _RING)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
    wait_for_end(directory, runner_id)
    return None


def is_bell_of(directory: Path, runner_id: str, bell: int) -> bool:
    """Whether an open ``bell`` is the one that hangs there under the runner's name."""
    try:
        return os.path.samestat(_bell(directory, runner_id).stat(), os.fstat(bell))
    except FileNotFoundError:
        return False


def is_listening(directory: Path, runner_id: str) -> bool:
    """Whether a runner's process holds its bell; its lock is left alone, for others may want it."""
    try:
        bell = os.open(_bell(directory, runner_id), _RING)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENXIO}:
            raise
        return False
    os.close(bell)
    return True


LOOK: Final = b"l"
"""Rung when something changed that the others may want to look at."""
TELL_ME: Final = b"t"
"""Rung by a runner that waits for an execution that it does not own."""


TELL_ME_ALL: Final = b"w"
"""Rung by a runner where somebody follows what happens."""
CHANGED: Final = b"c"
"""Rung for those when something was written."""


def ring(bell: int, why: bytes = LOOK) -> None:
    """Wake the runner behind ``bell``; a full pipe means that it will wake anyway."""
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(bell, why)


def _lock(directory: Path, runner_id: str) -> Path:
    return directory / f"{runner_id}.lock"


def _bell(directory: Path, runner_id: str) -> Path:
    return directory / f"{runner_id}.bell"
