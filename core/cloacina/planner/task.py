"""The planner's picture of one task."""

from dataclasses import dataclass

from cloacina.model.states import TASK_MOVES, SubStatus, TaskStatus
from cloacina.planner.memory import NOTHING_KEPT, TaskMemory
from cloacina_sdk.changes import Changes


@dataclass(slots=True)
class TaskState:
    """One task of one execution, and the state in which the database last saw it."""

    number: int
    status: TaskStatus = TaskStatus.NOT_STARTED
    sub_status: SubStatus | None = None
    attempt: int = 0
    """The number of the latest attempt; 0 before the first."""
    failures: int = 0
    losses: int = 0
    waiting_for: int = 0
    """How many dependencies are not final yet."""
    needed_by: int = 0
    """How many dependents are not final yet."""
    due_at_us: int | None = None
    longest_wait_us: int | None = None
    """How long to wait until then at most, whatever the wall clock was set to meanwhile."""
    started_at_us: int | None = None
    """When its first attempt started."""
    attempt_started_at_us: int = 0
    finished_at_us: int | None = None
    token: str | None = None
    runner: str | None = None
    """Which other runner its attempt runs on, if one does."""
    is_reported: bool = False
    """Whether that runner has told how the attempt ended."""
    changes: Changes | None = None
    reason: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    parent: int | None = None
    """Of an element: the number of the mapped task that it belongs to."""
    item: int | None = None
    """Of an element: its place in the list, from 0."""
    elements: int | None = None
    """Of a mapped task that has begun: how many elements it has."""
    first_element: int | None = None
    """Of a mapped task that has begun: the number of its first element."""
    memory: TaskMemory = NOTHING_KEPT
    is_polled: bool = False
    """Whether the condition that it waits for is being called."""
    unpark_ask: int | None = None
    """Of an attempt that is parked and wants to go on: the ask that is to be answered."""
    times_out_at_us: int | None = None
    """By the monotonic clock: when its attempt has taken as long as it may."""
    time_left_us: int | None = None
    """Of an attempt that is parked: how long it may go on."""
    is_overdue: bool = False
    """Whether its attempt took longer than it may, was asked to end, and has not ended yet."""
    stored: tuple[str, int] | None = None
    """(status, attempt) as committed; what the next write is compared with."""

    @property
    def is_offered(self) -> bool:
        """Whether its next attempt is on offer to other runners."""
        return self.sub_status is SubStatus.OFFERED

    @property
    def is_waiting(self) -> bool:
        """Whether its next attempt may start only once a wait is over."""
        return self.sub_status is SubStatus.DEFERRED and self.status is TaskStatus.READY

    @property
    def is_parked(self) -> bool:
        """Whether its attempt waits where it is, without a slot."""
        return self.sub_status is SubStatus.DEFERRED and self.token is not None

    def is_startable(self, utc_us: int) -> bool:
        """Whether the next attempt may be recorded: it is decided, not running, and due."""
        if self.status not in {TaskStatus.NOT_STARTED, TaskStatus.READY} or self.waiting_for:
            return False
        if self.sub_status is SubStatus.DEFERRED:
            return False
        return self.due_at_us is None or self.due_at_us <= utc_us

    def move(self, status: TaskStatus, sub_status: SubStatus | None = None) -> None:
        """Go to ``status`` if the table of legal moves allows it."""
        if status not in TASK_MOVES[self.status]:
            raise AssertionError(f"task {self.number}: {self.status} -> {status} is not legal")
        self.status = status
        self.sub_status = sub_status
