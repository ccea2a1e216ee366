"""The shape of an execution's graph, by number: which tasks, what each waits for, what waits for it.

Tasks are numbered in definition order, and a number never changes. A topology is immutable and
shared by every execution of one workflow; an execution whose graph grows takes a larger topology
whose first tasks are the same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from cloacina_sdk.json_text import canonical
from cloacina_sdk.spec import TaskSpec, WorkflowSpec


@dataclass(frozen=True)
class Topology:
    """A workflow's tasks with their dependencies as numbers."""

    workflow: WorkflowSpec
    tasks: tuple[TaskSpec, ...]
    dependencies: tuple[tuple[int, ...], ...]
    dependents: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, workflow: WorkflowSpec) -> Self:
        """Number the tasks of a valid ``workflow``."""
        numbers = {task.id: number for number, task in enumerate(workflow.tasks)}
        dependencies = tuple(
            tuple(numbers[name] for name in task.dependencies) for task in workflow.tasks
        )
        dependents: list[list[int]] = [[] for _ in workflow.tasks]
        for number, waits_for in enumerate(dependencies):
            for dependency in waits_for:
                dependents[dependency].append(number)
        return cls(workflow, workflow.tasks, dependencies, tuple(map(tuple, dependents)))

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def document(self) -> str:
        """The graph as the text that is stored beside the executions planned with it."""
        return canonical(self.workflow.to_document()).decode()

    @cached_property
    def digest(self) -> str:
        """The sha256 of ``document``, in hex."""
        return hashlib.sha256(self.document.encode()).hexdigest()

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each task id."""
        return {task.id: number for number, task in enumerate(self.tasks)}

    @cached_property
    def leaves(self) -> tuple[int, ...]:
        """The tasks that nothing waits for, in definition order."""
        return tuple(number for number, waiting in enumerate(self.dependents) if not waiting)

    @cached_property
    def ancestors(self) -> Sequence[int]:
        """For each task the set of tasks before it, as a bit mask (bit ``n`` is task ``n``)."""
        masks = [0] * len(self.tasks)
        settled = [False] * len(self.tasks)
        stack = list(range(len(self.tasks) - 1, -1, -1))
        while stack:
            number = stack[-1]
            missing = [d for d in self.dependencies[number] if not settled[d]]
            if missing and not settled[number]:
                stack.extend(missing)
                continue
            stack.pop()
            if not settled[number]:
                for dependency in self.dependencies[number]:
                    masks[number] |= masks[dependency] | (1 << dependency)
                settled[number] = True
        return masks
