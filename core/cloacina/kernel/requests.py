"""What other threads ask of the kernel."""

import contextvars
from concurrent.futures import Future
from dataclasses import dataclass, field

from cloacina.model.states import Wish
from cloacina.planner.events import Submitted
from cloacina.planner.execution import ExecutionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A new execution, and where to say that it is durable and that it ended."""

    event: Submitted
    variables: contextvars.Context
    accepted: Future[None] = field(default_factory=Future)
    ended: Future[ExecutionState] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Await:
    """Somebody wants to know how an execution ends that was submitted elsewhere or earlier."""

    execution_id: str
    ended: Future[ExecutionState] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants an execution cancelled, paused or resumed."""

    execution_id: str
    wish: Wish
    answered: Future[bool] = field(default_factory=Future)
    """Whether the execution is in flight here; its new state is durable then."""


@dataclass(frozen=True, slots=True)
class LookAround:
    """Something changed outside: a peer came, rang or died, or a workflow was registered."""


@dataclass(frozen=True, slots=True)
class LinesWait:
    """An attempt said something after a time in which none did."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Start nothing more, and end once no attempt runs or ``give_up_at`` (monotonic us) has come."""

    give_up_at_us: int


Request = Submission | Await | Ask | LookAround | LinesWait | Stop
