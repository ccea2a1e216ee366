"""Let a body's handle reach the engine, through the channel to the host.

While a body runs, nobody but its port receives from the channel: answers to what it asked, and the
word that its attempt is to end. What is about another attempt came too late, and is dropped.
"""

from __future__ import annotations

import select
import threading
import time
from typing import Final

from cloacina_native.frames import Channel, Frame
from cloacina_sdk.asking import Ask, Checkpoint, Reply, ask_document

STALE: Final = frozenset(("cancel", "reply"))
"""The types of frames that belong to an attempt, and mean nothing after its end."""

_LONGEST_POLL_S = 86_400.0  # poll() counts milliseconds in 31 bits


class Line:
    """What the ports of sync and of async bodies have in common."""

    def __init__(self, channel: Channel, token: str) -> None:
        self.channel: Final = channel
        self._token = token
        self._receiving = threading.Lock()
        self._is_cancelled = False
        self._reply: Reply | None = None

    def progressed(self, progress: float) -> None:
        """Have progress kept with what the attempt says."""
        self.channel.send({"type": "progress", "token": self._token, "progress": progress})

    def look(self) -> None:
        """Take what has arrived, unless another thread is about to."""
        if self._receiving.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._receiving.release()

    def send(self, ask: Ask) -> None:
        """Ask; the reply before is forgotten."""
        self._reply = None
        document = ask_document(ask)
        text = ask.text if isinstance(ask, Checkpoint) else ""
        header = {"type": "ask", "token": self._token, "ask": document["ask"]}
        self.channel.send(header, text.encode("utf-8"))

    def _drain(self) -> None:
        while (frames := self.channel.receive_ready()) is not None:
            for frame in frames:
                self._take(frame)
            if self.channel.is_closed_by_peer:
                return

    def _take(self, frame: Frame) -> None:
        header = frame.header
        if header.get("token") != self._token:
            return
        if header["type"] == "cancel":
            self._is_cancelled = True
        elif header["type"] == "reply":
            self._reply = Reply(str(header["reply"]))


class WorkerPort(Line):
    """The port of a sync body. Any of its threads may look whether it is to end."""

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end, as far as the host has said by now."""
        self.look()
        return self._is_cancelled

    def ask(self, ask: Ask) -> Reply | None:
        """Ask the engine and wait; see ``Port``."""
        with self._receiving:
            self.send(ask)
            while self._reply is None:
                if self._is_cancelled and not isinstance(ask, Checkpoint):
                    return None
                frame = self.channel.receive()
                if frame is None:
                    return Reply.LOST  # the host is gone, and this process is about to be
                self._take(frame)
            return self._reply

    def sleep(self, duration_s: float) -> None:
        """Wait so long, or until the attempt is cancelled."""
        deadline_s = time.monotonic() + duration_s
        poller = select.poll()
        poller.register(self.channel.fileno(), select.POLLIN)
        with self._receiving:  # so that nobody else takes the word to end
            self._drain()  # it may have come together with an answer
            while not self._is_cancelled and (left_s := deadline_s - time.monotonic()) > 0:
                if self.channel.is_closed_by_peer:
                    return
                poller.poll(min(left_s, _LONGEST_POLL_S) * 1000)
                self._drain()
