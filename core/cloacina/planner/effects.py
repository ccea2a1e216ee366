"""What the planner wants done once its changes are committed."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloacina.planner.execution import ExecutionState
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import TaskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Hand an attempt, recorded as running, to its executor."""

    execution: ExecutionState
    task_number: int
    attempt: int
    token: str
    texts: Mapping[str, str]
    """The merged context that the body sees: key -> JSON text."""
    element: Element | None = None
    """What the attempt is for, if its task is mapped; all elements have the same ``texts``."""

    @property
    def is_over(self) -> bool:
        """Whether the attempt was settled before it could begin."""
        task = self.execution.task(self.task_number)
        return task is None or task.token != self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSettled:
    """An attempt's end was recorded."""

    execution: ExecutionState
    task_number: int
    attempt: int
    failure: TaskFailure | None
    duration_us: int
    retry_delay_us: int | None
    """Set when another attempt follows after that delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """An attempt should end: it is asked first, and killed where that is possible."""

    execution: ExecutionState
    task_number: int
    token: str
    is_kill: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEnded:
    """An execution reached its final status; whoever waits for it can be told."""

    execution: ExecutionState


Effect = StartAttempt | AttemptSettled | StopAttempt | ExecutionEnded
