"""What a runner allows, and where the planner's few unpredictable values come from."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cloacina.planner.queue.pools import OnePool, Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the planner's few unpredictable values come from."""

    new_token: Callable[[], str]
    jitter: Callable[[], float]
    """Draws from [0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a runner allows.

    Attributes:
        slots: how many attempts may run at once.
        attempt_timeout_us: for tasks that name none of their own; ``None`` for no limit.
        grace_us: between asking an attempt to end and giving it up.
        pools: what limits attempts beside the slots.
        max_losses: how many attempts of a task may be lost with their runner before the task is
            given up.
        max_context_bytes: how large the context may be that an execution ends with; 0 for no limit.
    """

    slots: int
    attempt_timeout_us: int | None = None
    grace_us: int = 5_000_000
    pools: Pools = field(default_factory=OnePool)
    max_losses: int = 5
    max_context_bytes: int = 0
