"""Trees of labels, and the task graph of a workflow as one.

A graph is no tree: each task hangs below the last of its dependencies, and its label names the
others. Nothing here recurses, so a chain of any length is fine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloacina_sdk.graph import topological_order
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from rich.tree import Tree


@dataclass(frozen=True, slots=True)
class Branch:
    """A label, how a terminal shows it, and what hangs below it."""

    label: str
    style: str = ""
    children: list["Branch"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a tree in plain text."""

    indent: str
    branch: Branch

    def __str__(self) -> str:
        return f"{self.indent}{self.branch.label}"


def task_branches(
    workflow: WorkflowSpec, describe: Callable[[TaskSpec], tuple[str, str]]
) -> list[Branch]:
    """Return the tasks of a workflow as trees, one for each task without dependencies.

    Args:
        workflow: a valid one.
        describe: gives label and style of a task.
    """
    graph = workflow.graph()
    order = topological_order(graph)
    position = {task_id: index for index, task_id in enumerate(order)}
    branches = {task.id: Branch(*describe(task)) for task in workflow.tasks}
    top: list[Branch] = []
    for task_id in order:
        above = max(graph[task_id], key=position.__getitem__, default=None)
        (top if above is None else branches[above].children).append(branches[task_id])
    return top


def other_dependencies(workflow: WorkflowSpec) -> dict[str, tuple[str, ...]]:
    """Return for each task the dependencies that `task_branches` does not show by its place."""
    graph = workflow.graph()
    position = {task_id: index for index, task_id in enumerate(topological_order(graph))}
    return {
        task_id: tuple(sorted(needed, key=position.__getitem__)[:-1])
        for task_id, needed in graph.items()
    }


def plain_lines(branch: Branch) -> Iterator[Line]:
    """Draw a tree in ASCII."""
    waiting = [(branch, "", "")]
    while waiting:
        current, own, below = waiting.pop()
        yield Line(own, current)
        last = len(current.children) - 1
        for index, child in reversed(list(enumerate(current.children))):
            edge, line = ("`-- ", "    ") if index == last else ("|-- ", "|   ")
            waiting.append((child, below + edge, below + line))


def rich_tree(branch: Branch) -> "Tree":
    """Draw a tree for a terminal; labels are taken literally."""
    from rich.text import Text  # noqa: PLC0415 - slow to import, needed on terminals only
    from rich.tree import Tree  # noqa: PLC0415

    top = Tree(Text(branch.label, style=branch.style))
    waiting = [(branch, top)]
    while waiting:
        current, drawn = waiting.pop()
        waiting.extend(
            (child, drawn.add(Text(child.label, style=child.style))) for child in current.children
        )
    return top
