"""The settings of a runner, checked when they are made."""

from dataclasses import dataclass
from typing import Any

from cloacina.errors import InvalidConfigError


@dataclass(frozen=True)
class DefaultRunnerConfig:
    """How a runner works.

    Attributes:
        max_concurrent_tasks: how many attempts may run at once, 1 to 10,000.
        task_timeout_seconds: how long an attempt may take whose task names no timeout of its own,
            0.001 to 31,622,400; ``None`` for no limit.
        cancel_grace_seconds: between asking an attempt to end and giving it up, 0 to 3,600.
        shutdown_timeout_seconds: how long ``shutdown`` waits for attempts that run, 0 to 86,400.

    Raises:
        InvalidConfigError: for a value outside its range; it names the field and the range.
    """

    max_concurrent_tasks: int = 4
    task_timeout_seconds: float | None = 300.0
    cancel_grace_seconds: float = 5.0
    shutdown_timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        self._check("max_concurrent_tasks", int, 1, 10_000)
        if self.task_timeout_seconds is not None:
            self._check("task_timeout_seconds", (int, float), 0.001, 31_622_400)
        self._check("cancel_grace_seconds", (int, float), 0, 3_600)
        self._check("shutdown_timeout_seconds", (int, float), 0, 86_400)

    def _check(self, field: str, kind: type | tuple[type, ...], low: float, high: float) -> None:
        value: Any = getattr(self, field)
        is_kind = isinstance(value, kind) and not isinstance(value, bool)
        if not is_kind or not low <= float(value) <= high:
            noun = "a whole number" if kind is int else "a number"
            raise InvalidConfigError(field, value, f"{noun} from {low:,} to {high:,}")
