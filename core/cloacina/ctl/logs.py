"""Show the engine's warnings, and what tasks say, as lines on stderr."""

import logging
import sys

from cloacina.ctl.escaping import escaped

_LIBRARIES, _TASKS = ("cloacina", "cloacina_native"), "cloacina.task"


def show_logs(*, is_debugging: bool, with_tasks: bool) -> None:
    """Begin; tracebacks and debug records are shown only while debugging.

    Args:
        is_debugging: show everything.
        with_tasks: show what tasks print and log.
    """
    handler = _Terminal(is_debugging=is_debugging)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.setLevel(logging.DEBUG if is_debugging else logging.WARNING)
        library.addHandler(handler)
        library.propagate = False
    if with_tasks:
        logging.getLogger(_TASKS).setLevel(logging.INFO)


class _Terminal(logging.Handler):
    """Writes to whatever stderr is at the time, so that a live display can make room."""

    def __init__(self, *, is_debugging: bool) -> None:
        super().__init__()
        self._is_debugging = is_debugging

    def emit(self, record: logging.LogRecord) -> None:
        task = getattr(record, "task", None)
        is_said = record.name == _TASKS and isinstance(task, str)
        prefix = f"{task} | " if is_said else f"{record.levelname.lower()}: "
        lines = [f"{escaped(prefix + line)}\n" for line in self._text(record).splitlines()]
        sys.stderr.write("".join(lines))  # click.echo would go round what a display put there

    def _text(self, record: logging.LogRecord) -> str:
        if self._is_debugging and record.exc_info:
            return self.format(record)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            return f"{record.getMessage()}: {type(error).__name__}: {error}"
        return record.getMessage()
