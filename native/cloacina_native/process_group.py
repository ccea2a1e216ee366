"""A child process that leads a group: watch it, kill all of the group, reap it once.

The group is killed before its leader is reaped: until then nobody else can get its number.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress


class ProcessGroup:
    """The group of one child; safe to use from several threads.

    Args:
        leader: a child that was started in a session of its own; nobody else may wait for it.
    """

    def __init__(self, leader: subprocess.Popen[bytes]) -> None:
        self._leader = leader
        self._lock = threading.Lock()
        self._end_descriptor = _pidfd(leader.pid)
        self._is_reaped = False

    @property
    def pid(self) -> int:
        """The number of the leader and of the group."""
        return self._leader.pid

    @property
    def end_descriptor(self) -> int | None:
        """A descriptor that is readable once the leader ended; None where there is none."""
        return self._end_descriptor

    def has_ended(self, timeout_s: float = 0) -> bool:
        """Wait for the end of the leader, at most so long, and tell whether it came."""
        if self._is_reaped:
            return True
        if self._end_descriptor is not None:
            return bool(_polled(self._end_descriptor, timeout_s))
        try:
            self._leader.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill every process of the group; does nothing once the leader is reaped."""
        with self._lock:
            if not self._is_reaped:
                # Nobody is left to kill, or (macOS) nobody but a zombie.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._leader.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Kill what is left, and return the leader's exit status, negative for a signal."""
        self.kill()
        with self._lock:
            status = self._leader.wait()
            self._is_reaped = True
        return status

    def close(self) -> None:
        """Free the descriptor; the leader has been reaped and nobody watches it any more."""
        if self._end_descriptor is not None:
            os.close(self._end_descriptor)
            self._end_descriptor = None


def describe_status(status: int) -> str:
    """Say in words how a process ended: `died of SIGSEGV`, `exited with status 3`."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"died of {signal.Signals(-status).name}"
    except ValueError:
        return f"died of signal {-status}"


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid) if sys.platform == "linux" else None
    except OSError:
        return None  # a kernel before 5.3, or a sandbox that forbids it


def _polled(descriptor: int, timeout_s: float) -> list[tuple[int, int]]:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return poller.poll(timeout_s * 1000)
