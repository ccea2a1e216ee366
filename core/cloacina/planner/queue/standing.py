"""What a runner knows of an execution that is not stored: where its tasks stand in the queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class InQueue:
    """A task that waits for a slot of this runner.

    Attributes:
        ahead: how many tasks are in front of it.
        preferred: how many of those are of executions with a higher priority.
        pool: the name of the executor that runs it.
        has_room: whether that executor takes more attempts.
    """

    ahead: int
    preferred: int
    pool: str
    has_room: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an execution stands with the runner that owns it."""

    free_slots: int
    is_closing: bool
    queue: Mapping[int, InQueue] = field(default_factory=dict)
    """By the number of the task."""
    limits: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """By the number of the task: ``key`` or ``rate``, and the name of what it waits for."""
