"""End the worker when its host ends, whatever the worker is doing at that time."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import threading


def follow_host(socket_descriptor: int, lifeline: int) -> None:
    """Exit at once when the host closes the socket; die with the host in any case.

    A thread waits for the end of the socket. Code that holds the interpreter's lock would
    stop it, so on Linux the kernel itself kills the process group when the lifeline, a pipe
    whose other end only the host holds, breaks.
    """
    for descriptor in (socket_descriptor, lifeline):
        # For the socket and the lifeline to break, no child of a task may hold them.
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
        fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    watcher = threading.Thread(
        target=_exit_at_end, args=(socket_descriptor,), name="cloacina-host-watch", daemon=True
    )
    watcher.start()


def _exit_at_end(socket_descriptor: int) -> None:
    poller = select.poll()
    poller.register(socket_descriptor, 0)  # only the end of the connection, not data
    poller.poll()
    os._exit(0)
