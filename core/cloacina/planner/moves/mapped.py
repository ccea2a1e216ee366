"""Begin and end mapped tasks.

Rules it upholds:

* the number of elements is recorded when a mapped task begins, and never counted again;
* a mapped task ends in the same step as its last element;
* one with an element that failed for good fails, but only once no element is open any more.
"""

from collections.abc import Mapping

from cloacina.model.context import texts_of
from cloacina.model.states import TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion, list_under
from cloacina.planner.task import TaskState
from cloacina_sdk.mapped import Mapped


def expand(execution: ExecutionState, task: TaskState, mapped: Mapped, at_us: int) -> Expansion:
    """Begin a mapped task whose dependencies are final.

    Raises:
        NoListError: if there is no list to run over.
    """
    texts = texts_of(execution.views.seen_by(task.number))
    count = len(list_under(mapped.over, texts))
    task.move(TaskStatus.RUNNING)
    task.started_at_us = at_us
    task.first_element, task.elements = execution.next_number, count
    expansion = execution.expand(task, mapped)
    expansion.texts = texts
    execution.touch(task)
    execution.record("task_expanded", at_us, task.number, f"{count} elements")
    return expansion


def texts_of_elements(execution: ExecutionState, expansion: Expansion) -> Mapping[str, str]:
    """Return what the bodies of all elements see: one object, however many there are."""
    if expansion.texts is None:
        expansion.texts = texts_of(execution.views.seen_by(expansion.parent.number))
    return expansion.texts


def next_element(expansion: Expansion) -> TaskState:
    """Return the next element to move, which is open from now on."""
    place = expansion.moved
    element = TaskState(number=expansion.first + place, parent=expansion.parent.number, item=place)
    expansion.moved += 1
    expansion.open[element.number] = element
    return element


def verdict(expansion: Expansion) -> tuple[TaskStatus, str]:
    """Return how a mapped task ends whose elements are over, and why it failed if it did."""
    if expansion.failed:
        assert expansion.first_failure is not None  # noqa: S101 - it failed with the first
        place, error = expansion.first_failure
        message = (
            f"{expansion.failed:,} of {expansion.count:,} elements failed; "
            f"the first is element {place}: {error}"
        )
        return TaskStatus.FAILED, message
    if expansion.completed < expansion.count:
        return TaskStatus.CANCELLED, ""
    return TaskStatus.COMPLETED, ""
