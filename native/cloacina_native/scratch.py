"""Scratch directories of workers, and the removal of those that killed hosts left behind.

* A process keeps the directories of its workers locked for as long as they are in use. The lock
  also keeps systemd-tmpfiles from removing them as old.
* What nobody has locked is of a process that is dead. It is removed when another process makes its
  first, if it is a real directory of the same user; links are not followed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path

PREFIX = "cloacina-worker-"
_UNFINISHED = "cloacina-new-"
_LOGGER = logging.getLogger(__name__)


class Scratch:
    """A new, empty directory; whatever becomes of it, `cleanup` or somebody later removes it.

    Attributes:
        name: its path.
    """

    def __init__(self) -> None:
        """Make it.

        Raises:
            OSError: if the system refuses.
        """
        base = tempfile.gettempdir()
        _sweep_once(base)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=base))
        self._descriptor = os.open(unfinished, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        path = unfinished.with_name(PREFIX + unfinished.name.removeprefix(_UNFINISHED))
        unfinished.rename(path)  # only now do others come upon it
        self.name = str(path)

    def cleanup(self) -> None:
        """Remove it; doing so again does nothing.

        Raises:
            OSError: if something in it cannot be removed.
        """
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            _remove(Path(self.name))
        except FileNotFoundError:
            pass  # somebody tidied up
        finally:
            os.close(descriptor)


def sweep(base: Path) -> None:
    """Remove the directories below `base` that processes of this user left behind when they died."""
    for entry in base.glob(f"{PREFIX}*"):
        try:
            _remove_if_dead(entry)
        except FileNotFoundError:
            pass  # another process removes it
        except OSError as error:
            _LOGGER.warning("what a dead process left in %s stays: %s", entry, error)


@cache
def _sweep_once(base: str) -> None:
    sweep(Path(base))


def _remove_if_dead(entry: Path) -> None:
    found = entry.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return
    descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # its process lives
    else:
        _remove(entry)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:
        for directory, names, _ in os.walk(path):  # a task may have closed some to itself
            for name in names:
                inner = Path(directory, name)
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
