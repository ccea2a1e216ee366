"""Everything that arrives from one worker, in one order, read by one thread.

* Output that a worker wrote before it sent a frame comes before that frame.
* The end of the worker comes last, after all that it left in the socket and the pipes; it is
  seen when the process ends, even where a child of it keeps the socket open.
* What other threads have for the worker is sent by that one thread, so that a worker that does not
  read holds up nobody else.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from cloacina_native.errors import DeadlineError
from cloacina_native.frames import Channel, Frame
from cloacina_native.launch import Launched
from cloacina_native.log_lines import LogSource
from cloacina_sdk.json_text import JsonValue

_PIPE_BYTES = 64 * 1024  # what a pipe holds: one read empties it
_LAST_READS = (
    64  # of 256 KiB, far more than a socket holds; a child of a dead worker may go on writing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A piece of what the worker's process wrote to an output stream."""

    source: LogSource
    chunk: bytes


Event: TypeAlias = Frame | Output


class Connection:
    """The host's end of the socket and the pipes of one worker.

    Args:
        launched: whose socket and output pipes belong to the connection from now on.
        end_descriptor: readable once the process ended, if there is such a descriptor.
    """

    def __init__(self, launched: Launched, end_descriptor: int | None) -> None:
        self._channel = Channel(launched.sock, launched.max_frame_bytes)
        self._outputs = {launched.stdout: LogSource.STDOUT, launched.stderr: LogSource.STDERR}
        self._end_descriptor = end_descriptor
        self._is_over = False
        self._arrived: deque[Event] = deque()
        self._posting = threading.Lock()
        self._posted: list[Mapping[str, JsonValue]] = []
        self._is_closed = False
        self._awakened, self._awaken = _wakeup_pipe()
        self._poller = select.poll()
        self._polled = {self._channel.fileno(), *self._outputs}
        for descriptor in (*self._polled, self._awakened):
            self._poller.register(descriptor, select.POLLIN)
        if end_descriptor is not None:
            self._poller.register(end_descriptor, select.POLLIN)

    def send(self, header: Mapping[str, JsonValue], body: bytes = b"") -> None:
        """Send one frame; a worker that is gone is not noticed here but by `next_event`.

        Raises:
            FrameTooLargeError: before anything is sent.
        """
        try:
            self._channel.send(header, body)
        except OSError:
            self._is_over = True

    def post(self, header: Mapping[str, JsonValue]) -> None:
        """Have the thread that waits in `next_event` send this, or leave it to `send_posted`.

        Callable by any thread; it never blocks. Nothing is sent once the connection is closed.
        """
        with self._posting:
            if not self._is_closed:
                self._posted.append(header)
                with suppress(BlockingIOError):  # it is awake already
                    os.write(self._awaken, b"\0")

    def send_posted(self) -> None:
        """Send what other threads have posted."""
        with self._posting:
            posted, self._posted = self._posted, []
        for header in posted:
            self.send(header)

    def next_event(self, deadline: float | None = None, *, may_send: bool = False) -> Event | None:
        """Wait for what arrives next; None once everything of a worker that ended is read.

        Args:
            deadline: on the monotonic clock; None waits without end.
            may_send: whether to send meanwhile what is posted.

        Raises:
            DeadlineError: at the deadline; what has arrived by then is still returned first.
            ProtocolError: if what arrives is no frame.
            FrameTooLargeError: if a frame is announced that is too large.
        """
        while not self._arrived:
            if self._is_over:
                self._read({self._channel.fileno()}, last=True)
                return self._arrived.popleft() if self._arrived else None
            timeout_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = {descriptor for descriptor, _ in self._poller.poll(timeout_ms)}
            if not ready:
                raise DeadlineError
            self._is_over = self._end_descriptor in ready
            if self._awakened in ready:
                with suppress(BlockingIOError):
                    os.read(self._awakened, _PIPE_BYTES)
                if may_send:
                    self.send_posted()
            self._read(ready, last=self._is_over)
        return self._arrived.popleft()

    def shut_down(self) -> None:
        """Let the worker see the end of its input, and wake who waits; callable by any thread."""
        self._channel.shut_down()

    def close(self) -> None:
        """Free the descriptors."""
        with self._posting:
            self._is_closed = True
            os.close(self._awakened)
            os.close(self._awaken)
        self._channel.close()
        for descriptor in self._outputs:
            os.close(descriptor)
        self._outputs.clear()

    def _read(self, ready: set[int], *, last: bool) -> None:
        frames = self._read_frames(last=last) if self._channel.fileno() in ready else []
        for descriptor in list(self._outputs):
            if frames or last or descriptor in ready:
                self._read_output(descriptor)
        self._arrived += frames
        self._is_over = self._is_over or self._channel.is_closed_by_peer

    def _read_frames(self, *, last: bool) -> list[Frame]:
        frames: list[Frame] = []
        for _ in range(_LAST_READS if last else 1):
            received = self._channel.receive_ready()
            if received is None:
                break
            frames += received
            if self._channel.is_closed_by_peer:
                break
        return frames

    def _read_output(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, _PIPE_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._arrived.append(Output(source=self._outputs[descriptor], chunk=chunk))
        elif descriptor in self._polled:  # every process that could write here has closed it
            self._polled.remove(descriptor)
            self._poller.unregister(descriptor)


def _wakeup_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer
