"""The elements of a mapped task: which have moved, which run, and what they came to.

Elements are numbered behind the tasks of the graph and move in the order of the list. One that has
not moved is no more than a place in that order: it has no state here and no row in the database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cloacina.model.states import TaskStatus
from cloacina.planner.queue.slots import Place
from cloacina.planner.task import TaskState
from cloacina_sdk.changes import Changes
from cloacina_sdk.json_text import JsonValue, decode, encode, kind_of
from cloacina_sdk.mapped import Element, Mapped
from cloacina_sdk.outcome import TaskFailure


@dataclass(slots=True)
class Expansion:
    """The elements of one mapped task of one execution, from when it began until it ended."""

    parent: TaskState
    mapped: Mapped
    result_key: str
    first: int
    """The number of the first element."""
    count: int
    texts: Mapping[str, str] | None = None
    """What the bodies see, once it is known: one object for all elements."""
    open: dict[int, TaskState] = field(default_factory=dict)
    """The elements that have moved and are not final, by number."""
    results: list[str | None] = field(default_factory=list)
    """JSON text by place, of those that completed; empty once the task ended."""
    moved: int = 0
    attempts: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    first_failure: tuple[int, str] | None = None
    """Place and error of the first element, in the order of the list, that failed for good."""
    is_closed: bool = False
    """Whether no further element moves, because the execution is being stopped."""
    is_queued: bool = False
    """Whether the next element to move has a place in the queue."""
    waiting: dict[int, Place] = field(default_factory=dict)
    """Places that were in turn while as many elements ran as may, by the number they stand for."""
    _items: list[JsonValue] | None = None

    def __post_init__(self) -> None:
        self.results = [None] * self.count

    @property
    def has_room(self) -> bool:
        """Whether one more element may run."""
        limit = self.mapped.max_parallel
        return limit is None or self.running < limit

    @property
    def has_more(self) -> bool:
        """Whether there are elements that have not moved and may."""
        return self.moved < self.count and not self.is_closed

    @property
    def is_over(self) -> bool:
        """Whether no element is open, and none will be."""
        return not self.open and not self.has_more

    def element(self, task: TaskState) -> Element:
        """Return what an open element is: its place, its value, and where its result goes."""
        if task.item is None or self.texts is None:
            raise AssertionError(f"task {task.number} is no element that can start")
        if self._items is None:
            self._items = list_under(self.mapped.over, self.texts)
        text = encode(self._items[task.item])
        return Element(index=task.item, text=text, result_key=self.result_key)

    def checked(self, result: Changes | TaskFailure) -> Changes | TaskFailure:
        """Return what an attempt for an element reported, or a failure if it cannot be that."""
        if isinstance(result, TaskFailure):
            return result
        if result.assigned.keys() == {self.result_key} and not result.removed:
            return result
        return TaskFailure(
            error_type="InvalidResult",
            message=f"the executor reported no result of an element, which is {self.result_key!r} "
            f"alone, but {', '.join(map(repr, [*result.assigned, *result.removed])) or 'nothing'}",
            traceback="",
            is_transient=False,
        )

    def take(self, task: TaskState) -> None:
        """Take note that an element is final."""
        self.open.pop(task.number, None)
        assert task.item is not None  # noqa: S101 - elements have a place
        if task.status is TaskStatus.COMPLETED and task.changes is not None:
            self.completed += 1
            self.results[task.item] = task.changes.assigned[self.result_key]
        elif task.status is TaskStatus.FAILED:
            self.failed += 1
            if self.first_failure is None or task.item < self.first_failure[0]:
                self.first_failure = task.item, f"{task.error_type}: {task.error_message}"

    def restore(self, elements: Iterable[TaskState]) -> None:
        """Take over what is stored of elements that have moved."""
        for task in elements:
            self.moved += 1
            self.attempts += task.attempt
            self.running += task.token is not None
            if task.status.is_final:
                self.take(task)
            else:
                self.open[task.number] = task

    def collect(self) -> Changes:
        """Return what the task passes on, and let go of what only its elements needed."""
        joined = f"[{','.join(text for text in self.results if text is not None)}]"
        self.let_go()
        return Changes(assigned={self.result_key: joined}, removed=frozenset())

    def let_go(self) -> None:
        """Drop what is of no use once the task has ended."""
        self.results = []
        self.waiting.clear()
        self.texts = self._items = None


class NoListError(ValueError):
    """What a mapped task should run over is no list; the text says what was found."""


def list_under(key: str, texts: Mapping[str, str]) -> list[JsonValue]:
    """Return the list that a mapped task runs over.

    Raises:
        NoListError: if there is nothing under ``key``, or something else than a list.
    """
    if key not in texts:
        present = ", ".join(repr(name) for name in list(texts)[:10]) or "no keys"
        more = f" and {len(texts) - 10} more" if len(texts) > 10 else ""
        raise NoListError(
            f"the task is mapped over {key!r}, but its context has no such key; "
            f"it holds {present}{more}"
        )
    value = decode(texts[key])
    if not isinstance(value, list):
        raise NoListError(
            f"the task is mapped over {key!r}, which holds {kind_of(value)} instead of an array"
        )
    return value
