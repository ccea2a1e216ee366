"""What those who work for the kernel have in common."""

from dataclasses import dataclass

from cloacina.kernel.clock import Clock
from cloacina.kernel.inbox import Inbox
from cloacina.kernel.lookout import Lookout
from cloacina.kernel.waiters import Waiters
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.planner import Planner


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one kernel. All but the inbox belong to its thread."""

    planner: Planner
    neighbours: Neighbours
    clock: Clock
    inbox: Inbox
    lookout: Lookout
    waiters: Waiters
