"""Hear what the bodies of embedded tasks log.

A record belongs to the attempt in whose context (``contextvars``) it was made: also in
``asyncio.to_thread`` and in the tasks of a body, not in bare threads that a body starts. What is
printed stays the application's.

Records are heard as they are made, by a record factory around the one that was there. A handler
would keep ``logging.basicConfig`` from working and the last resort from printing warnings. Like a
handler, it hears what the levels of the loggers let through.
"""

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

from cloacina_sdk.log_line import LogLine, LogSource

Say = Callable[[LogLine], None]

_SAY: contextvars.ContextVar[Say | None] = contextvars.ContextVar("cloacina_say", default=None)
_HEARD = "_cloacina_heard"
_TRACEBACKS = logging.Formatter()
_INSTALLING = threading.Lock()


def listen(variables: contextvars.Context, say: Say) -> None:
    """Pass what is logged in ``variables`` on to ``say`` from now on."""
    _install()
    variables.run(_SAY.set, say)


def _install() -> None:
    with _INSTALLING:
        inner = logging.getLogRecordFactory()
        if not isinstance(inner, _Listener):  # or somebody put another one around ours
            logging.setLogRecordFactory(_Listener(inner))


class _Listener:
    """A record factory that tells the attempt in whose context it is called."""

    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        self._inner = inner

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self._inner(*arguments, **named)
        say = _SAY.get()
        is_new = record.name and not hasattr(record, _HEARD)  # makeLogRecord() fills records later
        if say is not None and is_new:
            setattr(record, _HEARD, True)  # somebody may have put a factory around ours, and we one
            token = _SAY.set(None)  # what formatting logs is not heard, lest it goes round
            try:
                say(_line_of(record))
            finally:
                _SAY.reset(token)
        return record


def _line_of(record: logging.LogRecord) -> LogLine:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - the caller's arguments are formatted; logging itself will complain
        text = str(record.msg)
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{_TRACEBACKS.formatException(record.exc_info)}"
    return LogLine(source=LogSource.LOGGING, text=text, level=record.levelno, logger=record.name)
