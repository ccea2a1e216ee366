"""The planner's picture of one execution: its tasks, what they passed on, what is not stored yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloacina.model import context
from cloacina.model.states import (
    EXECUTION_MOVES,
    TASK_MOVES,
    AttemptOutcome,
    ExecutionStatus,
    StopReason,
    SubStatus,
    TaskStatus,
)
from cloacina.model.topology import Topology
from cloacina.planner.claims import NOTHING, Claim
from cloacina.planner.events import Identity, SaidLine, StoredExecution, StoredTask
from cloacina.planner.expansion import Expansion
from cloacina.planner.offered import OfferChanges
from cloacina_sdk.changes import Changes
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import TaskSpec

NO_CHANGES = Changes(assigned={}, removed=frozenset())


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
    stored: tuple[str, int] | None = None
    """(status, attempt) as committed; what the next write is compared with."""

    def is_startable(self, utc_us: int) -> bool:
        """Whether the next attempt may be recorded: it is decided, not running, and due."""
        if self.status not in {TaskStatus.NOT_STARTED, TaskStatus.READY} or self.waiting_for:
            return False
        return self.due_at_us is None or self.due_at_us <= utc_us

    def move(self, status: TaskStatus, sub_status: SubStatus | None = None) -> None:
        """Go to ``status`` if the table of legal moves allows it."""
        if status not in TASK_MOVES[self.status]:
            raise AssertionError(f"task {self.number}: {self.status} -> {status} is not legal")
        self.status = status
        self.sub_status = sub_status


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
    started_at_us: int | None = None
    finished_at_us: int | None = None
    error_task: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    event_count: int = 0
    unfinished: int = 0
    tasks: list[TaskState] = field(default_factory=list)
    """Those of the graph, by number."""
    expansions: dict[int, Expansion] = field(default_factory=dict)
    """The elements of the mapped tasks that have begun, by the task's number."""
    unsaved: Unsaved = field(default_factory=Unsaved)
    _input_view: context.View | None = None
    _views: dict[int, context.View] = field(default_factory=dict)
    _passed_on: dict[int, context.View] = field(default_factory=dict)
    _keys: dict[int, str | None] = field(default_factory=dict)

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
            self._keys[number] = throttle.key_for(context.texts_of(self.view(number)))
        return self._keys[number]

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

    @property
    def can_be_stopped(self) -> bool:
        """Whether it is in flight and nobody stopped it yet."""
        return self.stopping is None and not self.status.is_final

    @property
    def has_moved(self) -> bool:
        """Whether the execution itself, beside its tasks, differs from what is stored."""
        stored = self.stored_status, self.stored_stopping
        return stored != (self.status, self.stopping)

    def mark_saved(self) -> None:
        """Take note that everything unsaved is committed."""
        for task in self.unsaved.tasks.values():
            task.stored = (task.status, task.attempt)
        self.stored_status, self.stored_stopping = self.status, self.stopping
        self.unsaved = Unsaved()

    @property
    def offers(self) -> OfferChanges:
        """What happened to its offers since its last commit."""
        if self.unsaved.offers is None:
            self.unsaved.offers = OfferChanges()
        return self.unsaved.offers

    def touch(self, task: TaskState) -> None:
        """Note that ``task`` differs from what is stored."""
        self.unsaved.tasks[task.number] = task

    def record(self, kind: str, at_us: int, task: int | None = None, detail: str = "") -> None:
        """Append a line to the history, under the next number of this execution's own sequence."""
        self.event_count += 1
        line = HistoryEvent(self.event_count, task, kind, at_us, detail or None)
        self.unsaved.history.append(line)

    def view(self, number: int) -> context.View:
        """Return what task ``number`` sees: the merge of what its dependencies pass on."""
        known = self._views.get(number)
        if known is None:
            known = self._merge(self.topology.dependencies[number], number)
            self._views[number] = known
        return known

    def final_view(self) -> context.View:
        """Return the merge of what all leaves pass on."""
        return self._merge(self.topology.leaves, len(self.topology))

    def settle_view(self, number: int) -> None:
        """Fix what a finished task passes on, and let go of views that nobody needs any more."""
        self.passed_on(number)
        self._views.pop(number, None)
        for dependency in self.topology.dependencies[number]:
            self.tasks[dependency].needed_by -= 1
            if not self.tasks[dependency].needed_by:
                self._passed_on.pop(dependency, None)

    def passed_on(self, number: int) -> context.View:
        """Return what task ``number`` passes on: its view with its changes.

        A task that produced nothing, because it was skipped or failed, passes its view through.
        """
        known = self._passed_on.get(number)
        if known is not None:
            return known
        for ancestor in self._unknown_ancestors(number):
            changes = self.tasks[ancestor].changes or NO_CHANGES
            view = self._merge(self.topology.dependencies[ancestor], ancestor)
            self._passed_on[ancestor] = context.apply(changes, view, ancestor)
        return self._passed_on[number]

    def _unknown_ancestors(self, number: int) -> list[int]:
        """Tasks, dependencies first, whose passed-on view must be computed to know ``number``'s."""
        order: list[int] = []
        seen: set[int] = set()
        stack = [(number, False)]
        while stack:
            current, expanded = stack.pop()
            if expanded:
                order.append(current)
            elif current not in seen and current not in self._passed_on:
                seen.add(current)
                stack.append((current, True))
                stack.extend((d, False) for d in self.topology.dependencies[current])
        return order

    def _merge(self, dependencies: tuple[int, ...], writer: int) -> context.View:
        if not dependencies:
            if self._input_view is None:
                self._input_view = context.input_view(self.input_texts)
            return self._input_view
        views = [self.passed_on(dependency) for dependency in dependencies]
        if len(views) == 1:
            return views[0]
        return context.merge(views, self.topology, writer)


def restored(stored: StoredExecution) -> ExecutionState:
    """Return the planner's picture of an execution as the database holds it."""
    execution = ExecutionState(
        identity=stored.identity,
        topology=stored.topology,
        input_texts=stored.input_texts,
        epoch=stored.epoch,
        created_at_us=stored.created_at_us,
        status=ExecutionStatus(stored.status),
        stored_status=ExecutionStatus(stored.status),
        stopping=StopReason(stored.stopping) if stored.stopping else None,
        stored_stopping=StopReason(stored.stopping) if stored.stopping else None,
        started_at_us=stored.started_at_us,
        finished_at_us=stored.finished_at_us,
        error_task=stored.error_task,
        error_type=stored.error_type,
        error_message=stored.error_message,
        event_count=stored.event_count,
        tasks=[_restored_task(task) for task in stored.tasks if task.parent is None],
    )
    _restore_elements(execution, stored.tasks)
    return execution


def _restore_elements(execution: ExecutionState, stored: Sequence[StoredTask]) -> None:
    """Give mapped tasks their elements back, and what they pass on, from the elements' rows."""
    elements: dict[int, list[TaskState]] = {}
    for row in stored:
        if row.parent is not None:
            elements.setdefault(row.parent, []).append(_restored_task(row))
    for task in execution.tasks:
        mapped = execution.topology.tasks[task.number].mapped
        if mapped is None or task.elements is None:
            continue
        expansion = execution.expand(task, mapped)
        expansion.is_closed = execution.stopping is not None
        expansion.restore(elements.get(task.number, ()))
        if task.status is TaskStatus.COMPLETED:
            task.changes = expansion.collect()
        elif task.status.is_final:
            expansion.let_go()


def _restored_task(stored: StoredTask) -> TaskState:
    status = TaskStatus(stored.status)
    return TaskState(
        number=stored.number,
        status=status,
        sub_status=SubStatus(stored.sub_status) if stored.sub_status else None,
        attempt=stored.attempt,
        failures=stored.failures,
        losses=stored.losses,
        due_at_us=stored.due_at_us,
        longest_wait_us=stored.retry_delay_us,
        started_at_us=stored.started_at_us,
        finished_at_us=stored.finished_at_us,
        token=stored.token,
        changes=stored.changes,
        reason=stored.reason,
        error_type=stored.error_type,
        error_message=stored.error_message,
        parent=stored.parent,
        item=stored.item,
        elements=stored.elements,
        first_element=stored.first_element,
        stored=(status, stored.attempt),
    )
