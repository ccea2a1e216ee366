"""What a host plans from: a workflow and its tasks as data, without any code.

* The same values stand in an embedded workflow, in a signed manifest and in the graph that
  is stored with an execution.
* A constructor takes what it is given; `WorkflowSpec.validate` reports every violation at
  once, each with the tasks concerned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import (
    InvalidContextValueError,
    InvalidDocumentError,
    InvalidWorkflowError,
    UnknownNameError,
)
from cloacina_sdk.graph import find_cycles, upstream
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.mapped import Mapped, read_mapped
from cloacina_sdk.retry import RetryPolicy, read_retry
from cloacina_sdk.rules import Rule, named_tasks, read_rule
from cloacina_sdk.throttle import Throttle, read_throttle

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
NAME_IN_WORDS = (
    "a letter or underscore, then up to 199 letters, digits, underscores, dots or hyphens"
)
LONGEST_TIMEOUT_MS = 366 * 24 * 3600 * 1000
_FINGERPRINT = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task of a workflow.

    Attributes:
        id: unique in its workflow.
        dependencies: ids of the tasks whose outputs are merged, in this order.
        trigger_rule: when the task runs; None is the default rule.
        allow_failure: whether the workflow can complete though this task failed.
        is_async: whether the body is a coroutine function.
        timeout_ms: how long one attempt may take; None for what the host says.
        mapped: set where the body runs once for each element of a list.
        throttle: limits of its attempts beside the slots of a runner.
        fingerprint: sha256 of the body's code in hexadecimal, or "" where it has none.
        takes_handle: whether the body is called with a handle, by which it waits and remembers.
    """

    id: str
    dependencies: tuple[str, ...]
    retry: RetryPolicy
    trigger_rule: Rule | None
    allow_failure: bool = False
    is_async: bool = False
    timeout_ms: int | None = None
    description: str = ""
    fingerprint: str = ""
    mapped: Mapped | None = None
    throttle: Throttle | None = None
    takes_handle: bool = False

    @property
    def result_key(self) -> str:
        """Where dependents of a mapped task find the list of its results."""
        return self.id if self.mapped is None else self.mapped.into or self.id

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        return {
            "id": self.id,
            "dependencies": list(self.dependencies),
            "retry": self.retry.to_document(),
            "trigger_rule": self.trigger_rule,
            "allow_failure": self.allow_failure,
            "is_async": self.is_async,
            "timeout_ms": self.timeout_ms,
            "description": self.description,
            "fingerprint": self.fingerprint,
            # said of those that have it only: others are the same for an older host
            **(self.mapped.to_document() if self.mapped else {}),
            **(self.throttle.to_document() if self.throttle else {}),
            **({"takes_handle": True} if self.takes_handle else {}),
        }

    @classmethod
    def from_document(cls, document: JsonValue) -> TaskSpec:
        """Read what `to_document` wrote.

        Raises:
            InvalidDocumentError: with every problem, unknown keys included.
        """
        problems: list[str] = []
        task = _read_task(Fields(document, "$", problems))
        if problems:
            raise InvalidDocumentError("task", problems)
        return task


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    """A workflow: its name and its tasks in definition order.

    Attributes:
        tags: pairs of key and value, sorted by key.
        timeout_ms: how long an execution may take from its start; None for ever.
        fail_fast: whether the first failure that nobody handles cancels what is left.
    """

    name: str
    description: str
    tags: tuple[tuple[str, str], ...]
    tasks: tuple[TaskSpec, ...]
    timeout_ms: int | None = None
    fail_fast: bool = False

    def graph(self) -> dict[str, tuple[str, ...]]:
        """Return the map from each task's id to its dependencies, in definition order."""
        return {task.id: task.dependencies for task in self.tasks}

    def task(self, task_id: str) -> TaskSpec:
        """Return the task of an id.

        Raises:
            UnknownNameError: if there is none.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise UnknownNameError("task", task_id, [task.id for task in self.tasks])

    def validate(self) -> None:
        """Check every rule that a workflow has to keep.

        Raises:
            InvalidWorkflowError: with one problem for each violation.
        """
        problems = _unreadable(self) or list(_problems(self))
        if problems:
            raise InvalidWorkflowError(self.name, problems)

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "description": self.description,
            "tags": dict(self.tags),
            "timeout_ms": self.timeout_ms,
            "fail_fast": self.fail_fast,
            "tasks": [task.to_document() for task in self.tasks],
        }

    @classmethod
    def from_document(cls, document: JsonValue) -> WorkflowSpec:
        """Read what `to_document` wrote; the workflow itself is not validated.

        Raises:
            InvalidDocumentError: with every problem, unknown keys included.
        """
        problems: list[str] = []
        workflow = read_workflow(Fields(document, "$", problems))
        if problems:
            raise InvalidDocumentError("workflow", problems)
        return workflow


def read_workflow(fields: Fields) -> WorkflowSpec:
    """Read the JSON form; with a problem the result is a stand-in."""
    workflow = WorkflowSpec(
        name=fields.text("name"),
        description=fields.text("description", ""),
        tags=_read_tags(fields),
        timeout_ms=fields.optional_integer("timeout_ms", lowest=1, highest=LONGEST_TIMEOUT_MS),
        fail_fast=fields.boolean("fail_fast", default=False),
        tasks=tuple(_read_task(task) for task in fields.each("tasks")),
    )
    fields.close()
    return workflow


def _read_tags(fields: Fields) -> tuple[tuple[str, str], ...]:
    members = fields.members("tags", {})
    tags = Fields(members, fields.path_of("tags"), fields.problems)
    return tuple(sorted((key, tags.text(key)) for key in members))


def _read_task(fields: Fields) -> TaskSpec:
    task = TaskSpec(
        id=fields.text("id"),
        dependencies=fields.texts("dependencies"),
        retry=read_retry(fields.inner("retry")),
        trigger_rule=_read_trigger_rule(fields),
        allow_failure=fields.boolean("allow_failure", default=False),
        is_async=fields.boolean("is_async", default=False),
        timeout_ms=fields.optional_integer("timeout_ms", lowest=1, highest=LONGEST_TIMEOUT_MS),
        description=fields.text("description", ""),
        fingerprint=fields.text(
            "fingerprint", "", form=_FINGERPRINT, expected="a sha256 in lower-case hexadecimal"
        ),
        mapped=read_mapped(fields),
        throttle=read_throttle(fields),
        takes_handle=fields.boolean("takes_handle", default=False),
    )
    fields.close()
    return task


def _read_trigger_rule(fields: Fields) -> Rule | None:
    raw = fields.value("trigger_rule", None)
    if raw is None:
        return None
    return read_rule(Fields(raw, fields.path_of("trigger_rule"), fields.problems))


def _unreadable(workflow: WorkflowSpec) -> list[str]:
    """Return why whoever reads the document of a workflow would not get this workflow."""
    problems: list[str] = []
    try:
        document = decode(encode(workflow.to_document()))
    except InvalidContextValueError as error:
        return [f"{error.path} {error.reason}"]
    read = read_workflow(Fields(document, "$", problems))
    if not problems and read.to_document() != document:
        problems.append("its document describes another workflow: a value is not of its own type")
    return problems


def _problems(workflow: WorkflowSpec) -> Iterator[str]:
    if not NAME.fullmatch(workflow.name):
        yield f"the name {workflow.name!r} is not allowed: {NAME_IN_WORDS}"
    if not workflow.tasks:
        yield "the workflow cannot be empty: add at least one task"
    for task_id, count in Counter(task.id for task in workflow.tasks).items():
        if count > 1:
            yield f"{count} tasks have the id {task_id!r}: give each an id of its own"
    known = frozenset(task.id for task in workflow.tasks)
    for task in workflow.tasks:
        yield from _task_problems(task, known)
    yield from _rule_problems(workflow)
    for cycle in find_cycles({task.id: _without_itself(task) for task in workflow.tasks}):
        yield f"the dependencies form a cycle: {' -> '.join(cycle)}"


def _task_problems(task: TaskSpec, known: frozenset[str]) -> Iterator[str]:
    if not NAME.fullmatch(task.id):
        yield f"the task id {task.id!r} is not allowed: {NAME_IN_WORDS}"
    for name, count in Counter(task.dependencies).items():
        if name == task.id:
            yield f"task {task.id!r} depends on itself"
        elif name not in known:
            yield f"task {task.id!r} depends on {name!r}, which does not exist{_near(name, known)}"
        if count > 1:
            yield f"task {task.id!r} names the dependency {name!r} {count} times"
    if task.trigger_rule is not None:
        for name in sorted(named_tasks(task.trigger_rule) - known):
            yield (
                f"the trigger rule of task {task.id!r} names {name!r}, "
                f"which does not exist{_near(name, known)}"
            )


def _rule_problems(workflow: WorkflowSpec) -> Iterator[str]:
    """Yield what rules name though it need not have ended when they are asked."""
    graph = workflow.graph()
    for task in workflow.tasks:
        named = frozenset() if task.trigger_rule is None else named_tasks(task.trigger_rule)
        for name in sorted((named & graph.keys()) - (upstream(graph, [task.id]) - {task.id})):
            if name == task.id:
                yield f"the trigger rule of task {task.id!r} names the task itself"
            else:
                yield (
                    f"the trigger rule of task {task.id!r} names {name!r}, "
                    "on which it does not depend: add it to dependencies"
                )


def _without_itself(task: TaskSpec) -> tuple[str, ...]:
    return tuple(name for name in task.dependencies if name != task.id)


def _near(name: str, known: frozenset[str]) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    near = difflib.get_close_matches(name, sorted(known), n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
