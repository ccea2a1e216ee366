"""What happened to one execution since its last commit, as the store is to write it."""

from dataclasses import dataclass, field

from cloacina.model.states import AttemptOutcome
from cloacina.planner.events import SaidLine, Verdict
from cloacina.planner.mailbox import SentEvent
from cloacina.planner.offered import OfferChanges
from cloacina.planner.queue.claims import NOTHING, Claim
from cloacina.planner.task import TaskState
from cloacina_sdk.outcome import TaskFailure


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """An attempt to be recorded as running."""

    task_number: int
    attempt: int
    token: str
    started_at_us: int
    runner: str | None = None
    """Which other runner has it; ``None`` for this one."""
    claim: Claim = NOTHING
    is_first_move: bool = False
    """Whether the task was neither held nor attempted before."""


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """The end of an attempt, to be recorded."""

    task_number: int
    attempt: int
    token: str
    finished_at_us: int
    outcome: AttemptOutcome
    failure: TaskFailure | None


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One line of an execution's history."""

    seq: int
    task_number: int | None
    kind: str
    at_us: int
    detail: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command, to be written with what it did."""

    command_id: str
    verdict: Verdict
    at_us: int


@dataclass(slots=True)
class Kept:
    """What happened to waits, checkpoints and events."""

    memories: dict[int, TaskState] = field(default_factory=dict)
    """Tasks whose memory changed."""
    sent: list[SentEvent] = field(default_factory=list)


@dataclass(slots=True)
class Unsaved:
    """What happened to one execution since its last commit."""

    tasks: dict[int, TaskState] = field(default_factory=dict)
    starts: list[AttemptStart] = field(default_factory=list)
    ends: list[AttemptEnd] = field(default_factory=list)
    history: list[HistoryEvent] = field(default_factory=list)
    said: list[tuple[int, int, SaidLine]] = field(default_factory=list)
    """Task number, attempt, and a line that the attempt said."""
    offers: OfferChanges | None = None
    """Made when an offer changes; most runners are alone."""
    replies: list[Reply] = field(default_factory=list)
    kept: Kept | None = None
    """Made when a task waits or stores something, or an event is sent; most never do."""
