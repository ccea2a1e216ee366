"""What can happen to the planner."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloacina.model.states import Answer
from cloacina.model.topology import Topology
from cloacina.planner.mailbox import SentEvent
from cloacina.planner.memory import NOTHING_KEPT, TaskMemory
from cloacina.planner.offered import OffersSeen, SeenOffer
from cloacina.planner.queue.claims import Taken
from cloacina_sdk.changes import Changes
from cloacina_sdk.executor import Ask
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Wait


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of both clocks: the wall for what is recorded, the monotonic one for waiting."""

    utc_us: int
    monotonic_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an execution is a run of. It never changes."""

    execution_id: str
    tenant: str
    package: str
    package_digest: str | None
    workflow: str
    workflow_version: str
    priority: int = 0
    idempotency_key: str | None = None
    """At most one execution of a workflow of a package of a tenant has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Somebody asked for a new execution."""

    identity: Identity
    topology: Topology
    input_texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """A task as the database holds it."""

    number: int
    status: str
    sub_status: str | None
    attempt: int
    failures: int
    losses: int
    due_at_us: int | None
    started_at_us: int | None
    finished_at_us: int | None
    changes: Changes | None
    reason: str | None
    error_type: str | None
    error_message: str | None
    token: str | None
    """Of the attempt that is recorded as running, if there is one."""
    retry_delay_us: int | None = None
    """Between the failure of its latest attempt and ``due_at_us``, by the clock that set both."""
    parent: int | None = None
    """Of an element: the number of the mapped task that it belongs to."""
    item: int | None = None
    elements: int | None = None
    """Of a mapped task that has begun: how many elements it has."""
    first_element: int | None = None
    memory: TaskMemory = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExecution:
    """An execution as the database holds it."""

    identity: Identity
    topology: Topology
    input_texts: Mapping[str, str]
    status: str
    stopping: str | None
    epoch: int
    event_count: int
    created_at_us: int
    started_at_us: int | None
    finished_at_us: int | None
    error_task: str | None
    error_type: str | None
    error_message: str | None
    tasks: tuple[StoredTask, ...]
    offers: tuple[SeenOffer, ...] = ()
    """What the last owner offered and nobody settled; read by a claim only."""
    sent: tuple[SentEvent, ...] = ()
    """The events that were sent to it; read by a claim only."""
    waited_us: int = 0
    """How long it has only waited, which does not count for the time that it may take."""
    waits_since_us: int | None = None
    """Since when it does so now, beside that."""

    def name(self, number: int) -> str:
        """Return the id of a task; of an element, with its place behind it."""
        tasks = self.topology.tasks
        if number < len(tasks):
            return tasks[number].id
        found = next(each for each in self.tasks if each.number == number)
        return f"{tasks[found.parent or 0].id}[{found.item}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """This runner became the owner of an execution that was stored earlier."""

    stored: StoredExecution
    purpose: str = ""
    """What for, if not to run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An executor reported how an attempt ended: with the task's changes, a failure, or a wait."""

    execution_id: str
    task_number: int
    token: str
    result: Changes | TaskFailure | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAsked:
    """The body of a running attempt asks for something."""

    execution_id: str
    task_number: int
    token: str
    ask: Ask
    number: int
    """Of the ask, for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTold:
    """A condition was called for a task that waits for it."""

    execution_id: str
    task_number: int
    attempt: int
    """The number of the task's last attempt, after which it waits."""
    answer: bool | TaskFailure
    """Whether it holds, or what calling it led to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidLine:
    """A line that an attempt printed or logged, under its number within the attempt."""

    seq: int
    at_us: int
    source: str
    level: int
    logger: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSaid:
    """An attempt printed or logged something."""

    execution_id: str
    task_number: int
    token: str
    lines: tuple[SaidLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """Somebody wants something of an execution in flight."""

    execution_id: str
    wish: str
    """One of ``Wish``, or what somebody wrote into the inbox."""
    argument: str | None = None
    command_id: str | None = None
    """Of the row that is to be answered, if it came through the inbox."""
    largest_bytes: int = 0
    """How long the payload of an event may be, where that is asked; 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a wish."""

    answer: Answer
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LimitsRead:
    """The database was asked who holds slots of keys that tasks here wait for."""

    taken: Taken


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A moment that the planner asked to be woken at has come."""


Event = (
    Submitted
    | Claimed
    | AttemptEnded
    | AttemptAsked
    | ConditionTold
    | Requested
    | LimitsRead
    | TimePassed
    | OffersSeen
)
