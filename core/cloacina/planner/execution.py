"""The planner's picture of one execution: its tasks, its elements, and what is not stored yet."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cloacina.model.context import texts_of
from cloacina.model.states import (
    EXECUTION_MOVES,
    EXECUTION_RETRY_MOVES,
    TASK_RETRY_MOVES,
    ExecutionStatus,
    StopReason,
    TaskStatus,
)
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity
from cloacina.planner.expansion import Expansion
from cloacina.planner.mailbox import Mailbox, SentEvent
from cloacina.planner.memory import NOTHING_KEPT
from cloacina.planner.offered import OfferChanges
from cloacina.planner.task import TaskState
from cloacina.planner.unsaved import HistoryEvent, Kept, Unsaved
from cloacina.planner.views import Views
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.spec import TaskSpec


@dataclass(slots=True)
class ExecutionState:
    """One execution, owned by this runner."""

    identity: Identity
    topology: Topology
    input_texts: Mapping[str, str]
    epoch: int
    created_at_us: int
    status: ExecutionStatus = ExecutionStatus.PENDING
    stored_status: ExecutionStatus | None = None
    stopping: StopReason | None = None
    stored_stopping: StopReason | None = None
    stored_priority: int = 0
    started_at_us: int | None = None
    finished_at_us: int | None = None
    error_task: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    event_count: int = 0
    unfinished: int = 0
    tasks: list[TaskState] = field(default_factory=list)
    """Those of the graph, by number; another list, or another graph, comes by ``replan`` only."""
    expansions: dict[int, Expansion] = field(default_factory=dict)
    """The elements of the mapped tasks that have begun, by the task's number."""
    unsaved: Unsaved = field(default_factory=Unsaved)
    waiting: dict[int, TaskState] = field(default_factory=dict)
    """The tasks and elements that wait, between attempts or parked within one, by number."""
    witness: int | None = None
    """A task that was seen to run or to be ready, and may still be."""
    waited_us: int = 0
    """How long it has only waited, beside the time since ``waits_since_us``."""
    waits_since_us: int | None = None
    stored_waiting: tuple[int, int | None] = (0, None)
    times_out_at_us: int | None = None
    """By the monotonic clock: when it has taken as long as its workflow allows."""
    time_left_us: int | None = None
    """While it only waits: how long it may go on after that."""
    views: Views = field(init=False)
    _keys: dict[int, str | None] = field(default_factory=dict)
    _mailbox: Mailbox | None = None

    def __post_init__(self) -> None:
        self.replan(self.topology, self.tasks)

    def replan(self, topology: Topology, tasks: list[TaskState]) -> None:
        """Go on with another graph, whose tasks are ``tasks``."""
        self.topology, self.tasks = topology, tasks
        self.views = Views(topology, tasks, self.input_texts)

    @property
    def id(self) -> str:
        """The execution's id."""
        return self.identity.execution_id

    def task(self, number: int) -> TaskState | None:
        """Return a task of the graph or an open element; ``None`` for an element that is not open."""
        if number < len(self.tasks):
            return self.tasks[number]
        expansion = self.expansion_at(number)
        return None if expansion is None else expansion.open.get(number)

    def spec(self, number: int) -> TaskSpec:
        """Return what describes a task of the graph, or the task that an element belongs to."""
        if number < len(self.tasks):
            return self.topology.tasks[number]
        expansion = self.expansion_at(number)
        if expansion is None:
            raise AssertionError(f"{self.id} has no task {number}")
        return self.topology.tasks[expansion.parent.number]

    def expansion_of(self, task: TaskState) -> Expansion | None:
        """Return the elements that a task has or is one of; ``None`` if it is not mapped."""
        return self.expansions.get(task.number if task.parent is None else task.parent)

    @property
    def next_number(self) -> int:
        """The first number that neither a task nor an element has."""
        ends = (expansion.first + expansion.count for expansion in self.expansions.values())
        return max(ends, default=len(self.tasks))

    @property
    def running(self) -> Iterator[TaskState]:
        """Yield the tasks and elements that have an attempt recorded as running."""
        yield from (task for task in self.tasks if task.token is not None)
        for expansion in self.expansions.values():
            yield from (task for task in expansion.open.values() if task.token is not None)

    def concurrency_key(self, number: int) -> str | None:
        """Return the concurrency key of a task of the graph, whose dependencies are final.

        Raises:
            UnknownKeyError: if its context does not have what the key needs.
        """
        throttle = self.topology.tasks[number].throttle
        if throttle is None or throttle.key is None:
            return None
        if number not in self._keys:
            self._keys[number] = throttle.key_for(texts_of(self.views.seen_by(number)))
        return self._keys[number]

    def rate_key(self, number: int) -> str:
        """Return what starts of a task of the graph are counted under."""
        named = self.identity
        task_id = self.topology.tasks[number].id
        return str(TaskNamespace(named.tenant, named.package, named.workflow, task_id))

    def expand(self, task: TaskState, mapped: Mapped) -> Expansion:
        """Give a mapped task the elements that it says it has."""
        if task.elements is None or task.first_element is None:
            raise AssertionError(f"task {task.number} of {self.id} has not begun")
        expansion = Expansion(
            parent=task,
            mapped=mapped,
            result_key=self.topology.tasks[task.number].result_key,
            first=task.first_element,
            count=task.elements,
        )
        self.expansions[task.number] = expansion
        return expansion

    def expansion_at(self, number: int) -> Expansion | None:
        """Return the elements among which a number is; ``None`` if it is that of no element."""
        for expansion in self.expansions.values():
            if expansion.first <= number < expansion.first + expansion.count:
                return expansion
        return None

    def move(self, status: ExecutionStatus) -> None:
        """Go to ``status`` if the table of legal moves allows it."""
        if status not in EXECUTION_MOVES[self.status]:
            raise AssertionError(f"execution {self.id}: {self.status} -> {status} is not legal")
        self.status = status

    def reopen(self, at_us: int) -> None:
        """Leave a final status, as only a person can ask; the time of the workflow begins anew."""
        if ExecutionStatus.RUNNING not in EXECUTION_RETRY_MOVES.get(self.status, ()):
            raise AssertionError(f"execution {self.id} is {self.status} and cannot be reopened")
        self.status = ExecutionStatus.RUNNING
        self.stopping = None
        self.started_at_us, self.finished_at_us = at_us, None
        self.waited_us, self.waits_since_us = 0, None
        self.error_task = self.error_type = self.error_message = None

    def reset(self, number: int) -> None:
        """Make a final task of a reopened execution one that has yet to be decided."""
        old = self.tasks[number]
        if TaskStatus.NOT_STARTED not in TASK_RETRY_MOVES.get(old.status, ()):
            raise AssertionError(f"task {number} is {old.status} and cannot be reset")
        task = TaskState(number=number, attempt=old.attempt, stored=old.stored)
        self.tasks[number] = task
        self.touch(task)
        if old.memory is not NOTHING_KEPT:
            self.kept.memories[number] = task

    @property
    def can_be_stopped(self) -> bool:
        """Whether it is in flight and nobody stopped it yet."""
        return self.stopping is None and not self.status.is_final

    @property
    def has_moved(self) -> bool:
        """Whether the execution itself, beside its tasks, differs from what is stored."""
        stored = self.stored_status, self.stored_stopping, self.stored_priority
        if stored != (self.status, self.stopping, self.identity.priority):
            return True
        return self.stored_waiting != (self.waited_us, self.waits_since_us)

    def mark_saved(self) -> None:
        """Take note that everything unsaved is committed."""
        for task in self.unsaved.tasks.values():
            task.stored = (task.status, task.attempt)
        self.stored_status, self.stored_stopping = self.status, self.stopping
        self.stored_priority = self.identity.priority
        self.stored_waiting = self.waited_us, self.waits_since_us
        self.unsaved = Unsaved()

    @property
    def offers(self) -> OfferChanges:
        """What happened to its offers since its last commit."""
        if self.unsaved.offers is None:
            self.unsaved.offers = OfferChanges()
        return self.unsaved.offers

    @property
    def kept(self) -> Kept:
        """What happened to its waits, checkpoints and events since its last commit."""
        if self.unsaved.kept is None:
            self.unsaved.kept = Kept()
        return self.unsaved.kept

    @property
    def mailbox(self) -> Mailbox:
        """The events that were sent to it."""
        if self._mailbox is None:
            self._mailbox = Mailbox()
        return self._mailbox

    def deliver(self, events: Iterable[SentEvent]) -> None:
        """Have the events that are stored."""
        self._mailbox = Mailbox(events)

    def touch(self, task: TaskState) -> None:
        """Note that ``task`` differs from what is stored."""
        self.unsaved.tasks[task.number] = task

    def record(self, kind: str, at_us: int, task: int | None = None, detail: str = "") -> None:
        """Append a line to the history, under the next number of this execution's own sequence."""
        self.event_count += 1
        line = HistoryEvent(self.event_count, task, kind, at_us, detail or None)
        self.unsaved.history.append(line)
