"""Rows of tasks, and of the elements of mapped tasks."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState
from cloacina.store.rows.text import maybe, moment, plain
from cloacina_sdk.changes import Changes


class TaskColumns(NamedTuple):
    """What can change about a task."""

    to_status: str
    to_sub_status: str | None
    to_attempt: int
    failures: int
    losses: int
    due_at: str | None
    started_at: str | None
    finished_at: str | None
    changes: str | None
    reason: str | None
    error_type: str | None
    error_message: str | None
    elements: int | None
    first_element: int | None


class NewTask(NamedTuple):
    """A task's first row."""

    execution_id: str
    number: int
    task: str
    to_status: str
    to_sub_status: str | None
    to_attempt: int
    failures: int
    losses: int
    due_at: str | None
    started_at: str | None
    finished_at: str | None
    changes: str | None
    reason: str | None
    error_type: str | None
    error_message: str | None
    elements: int | None
    first_element: int | None
    parent: int | None
    item: int | None


class TaskMove(NamedTuple):
    """A change of a task, if it is still as the last commit left it."""

    to_status: str
    to_sub_status: str | None
    to_attempt: int
    failures: int
    losses: int
    due_at: str | None
    started_at: str | None
    finished_at: str | None
    changes: str | None
    reason: str | None
    error_type: str | None
    error_message: str | None
    elements: int | None
    first_element: int | None
    execution_id: str
    number: int
    was_status: str
    was_attempt: int


def new_tasks(execution: ExecutionState) -> list[NewTask]:
    """Return the rows of tasks that are not stored yet."""
    return [
        NewTask(
            execution.id,
            task.number,
            execution.spec(task.number).id,
            *_columns(task),
            task.parent,
            task.item,
        )
        for task in execution.unsaved.tasks.values()
        if task.stored is None
    ]


def task_moves(execution: ExecutionState) -> list[TaskMove]:
    """Return the changes of tasks that are stored already."""
    return [
        TaskMove(*_columns(task), execution.id, task.number, *task.stored)
        for task in execution.unsaved.tasks.values()
        if task.stored is not None
    ]


def _columns(task: TaskState) -> TaskColumns:
    return TaskColumns(
        task.status,
        task.sub_status,
        task.attempt,
        task.failures,
        task.losses,
        maybe(moment, task.due_at_us),
        maybe(moment, task.started_at_us),
        maybe(moment, task.finished_at_us),
        # what a mapped task passes on is put together from the rows of its elements
        None if task.elements is not None else maybe(Changes.to_json, task.changes),
        maybe(plain, task.reason),
        maybe(plain, task.error_type),
        maybe(plain, task.error_message),
        task.elements,
        task.first_element,
    )
