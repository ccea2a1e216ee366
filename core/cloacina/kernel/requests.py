"""What other threads ask of the kernel."""

import contextvars
from concurrent.futures import Future
from dataclasses import dataclass, field

from cloacina.planner.events import Requested, Submitted, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.queue.standing import Standing


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
    """Somebody wants something of an execution, whoever has it."""

    wanted: Requested
    """With an id for the command that it may become."""
    answered: Future[Verdict] = field(default_factory=Future)
    """What became of it; that is durable then."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Somebody wants an execution that failed or was cancelled to run again."""

    execution_id: str
    from_failed: bool
    reopened: Future[None] = field(default_factory=Future)
    """Done when it is durable that it runs again."""


@dataclass(frozen=True, slots=True)
class Inquire:
    """Somebody wants to know how an execution waits here."""

    execution_id: str
    answered: Future[Standing | None] = field(default_factory=Future)
    """``None`` if it is not in flight here."""


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


Request = Submission | Await | Ask | Retry | Inquire | LookAround | LinesWait | Stop
