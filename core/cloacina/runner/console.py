"""Logging for scripts. The library itself configures none."""

import logging
from typing import TextIO

from cloacina.errors import InvalidConfigError

_FIELDS = ("tenant", "package", "workflow", "task")


def init_logging(level: int | str = "INFO", *, stream: TextIO | None = None) -> None:
    """Write log records of this process as lines, those of tasks and of the engine with where from.

    For scripts; an application configures its own logging, for which records about executions
    carry the fields ``execution``, ``tenant``, ``package``, ``workflow``, ``task`` and ``attempt``.
    Calling it again replaces what it did before.

    Args:
        level: the least level to show: a name such as ``"DEBUG"`` or ``"warning"``, or a number.
        stream: where lines go; standard error if left out.

    Raises:
        InvalidConfigError: if there is no such level.
    """
    number = _level_of(level)
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Lines)]:
        root.removeHandler(handler)
    root.addHandler(_Lines(stream))
    root.setLevel(number)


class _Lines(logging.StreamHandler[TextIO]):
    """Recognised by its type when it is to be replaced."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s%(place)s: %(message)s"))


class _Formatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides logging's
        fields = (str(getattr(record, name)) for name in _FIELDS if hasattr(record, name))
        place = "::".join(fields)
        attempt, execution = getattr(record, "attempt", None), getattr(record, "execution", None)
        if place and attempt is not None:
            place += f"#{attempt}"
        if execution is not None:
            place += f" {execution}"
        record.place = f" [{place}]" if place else ""
        return super().formatMessage(record)


def _level_of(level: object) -> int:
    names = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() in names:
        return names[level.upper()]
    if isinstance(level, int) and not isinstance(level, bool) and level >= 0:
        return level
    raise InvalidConfigError("level", level, f"a number or one of {', '.join(names)}")
