"""Which limit beside the runner's slots an attempt falls under: that of whatever runs it."""

from dataclasses import dataclass
from typing import Protocol

from cloacina.planner.events import Identity
from cloacina_sdk.spec import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Places for attempts that run at one executor.

    Attributes:
        name: tells it from others.
        capacity: how many places there are; ``None`` for no limit.
        can_kill: whether what runs there can be ended by force.
        heeds: whether what runs there may end because it is asked to; a thread goes on.
    """

    name: str
    capacity: int | None = None
    can_kill: bool = False
    heeds: bool = False


class Pools(Protocol):
    """Says where a task's attempts run. Always the same answer for the same task."""

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        """Return the pool of a task's attempts."""
        ...


class OnePool:
    """Everything runs in one place, which has no limit of its own."""

    _POOL = Pool(name="all")

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        """Return the one pool."""
        return self._POOL
