"""What the planner wants done once its changes are committed."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloacina.planner.execution import ExecutionState
from cloacina_sdk.executor import Reply
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Memory


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
    memory: Memory | None = None
    """What earlier runs of the body left, if its task takes a handle."""

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
class AttemptDeferred:
    """It was recorded that the body of an attempt ended its run to wait."""

    execution: ExecutionState
    task_number: int
    attempt: int
    duration_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFailed:
    """It was recorded that what a task waits for, after an attempt, cannot be told."""

    execution: ExecutionState
    task_number: int
    attempt: int
    failure: TaskFailure
    retry_delay_us: int | None
    """Set when another attempt follows after that delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCondition:
    """A task waits for a condition: what it says now is to be told (``ConditionTold``)."""

    execution: ExecutionState
    task_number: int
    attempt: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAsk:
    """What the body of an attempt asked for is done."""

    execution: ExecutionState
    number: int
    """Of the ask."""
    reply: Reply


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


Effect = (
    StartAttempt
    | AttemptSettled
    | AttemptDeferred
    | WaitFailed
    | CallCondition
    | AnswerAsk
    | StopAttempt
    | ExecutionEnded
)
