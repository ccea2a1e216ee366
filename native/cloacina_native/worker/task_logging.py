"""Send the log records of tasks to the host, under the token of the attempt that runs."""

from __future__ import annotations

import logging
import sys

from cloacina_native.frames import Channel
from cloacina_sdk.json_text import JsonValue

_LIMIT_BYTES = 64 * 1024
_HIGHEST_LEVEL = 1_000_000


class HostHandler(logging.Handler):
    """Hand records to the host; in a process that a task forked, print them.

    Attributes:
        token: that of the attempt that runs, or "".
        is_forked: whether the channel belongs to another process.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.token = ""
        self.is_forked = False
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; what goes wrong is printed, as any handler does."""
        try:
            text = self.format(record)
            if self.is_forked:
                print(text, file=sys.stderr)
            else:
                self._send(record, text.encode("utf-8", "backslashreplace")[:_LIMIT_BYTES])
        except Exception:  # noqa: BLE001 - the task's own arguments are formatted here
            self.handleError(record)

    def _send(self, record: logging.LogRecord, text: bytes) -> None:
        level = min(max(int(record.levelno), 0), _HIGHEST_LEVEL)
        header: dict[str, JsonValue] = {
            "type": "log",
            "token": self.token,
            "level": level,
            "logger": record.name,
        }
        self._channel.send(header, text)


def install(channel: Channel) -> HostHandler:
    """Let every record from INFO up go to the host, unless the package decides otherwise."""
    handler = HostHandler(channel)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler
