"""A tree of tasks on a terminal, drawn again whenever something changes."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live

from cloacina.ctl.escaping import escaped
from cloacina.ctl.follow.changes import Change
from cloacina.ctl.tree import Branch, rich_tree, task_branches
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

_STYLES = {
    "Running": "bold yellow",
    "Completed": "green",
    "Retrying": "magenta",
    "Deferred": "cyan",
    "Failed": "bold red",
    "Skipped": "dim",
    "Cancelled": "dim red",
}
_PER_SECOND = 8


@dataclass(slots=True)
class _Board:
    """What is known of one execution's tasks: the latest change of each."""

    title: str
    changes: dict[str, Change] = field(default_factory=dict)


class LiveTree:
    """Shows every watched execution as a tree, one below the other."""

    def __init__(self, stream: IO[str], workflow: WorkflowSpec, names: Mapping[str, str]) -> None:
        """Draw on a terminal; ``names`` says what to call each execution."""
        self._workflow = workflow
        self._boards = {
            execution_id: _Board(f"{workflow.name} {name}".rstrip())
            for execution_id, name in names.items()
        }
        self._live = Live(
            console=Console(file=stream, highlight=False),
            get_renderable=self._drawn,
            refresh_per_second=_PER_SECOND,
        )

    def show(self, change: Change) -> None:
        """Put a change on the board of its execution."""
        self._boards[change.execution_id].changes[change.task] = change

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def _drawn(self) -> RenderableType:
        return Group(*self._trees())

    def _trees(self) -> Iterator[RenderableType]:
        for board in self._boards.values():
            known = dict(board.changes)  # one moment: the next change comes from another thread
            branches = task_branches(self._workflow, partial(_label, known))
            yield rich_tree(Branch(escaped(board.title), "bold", branches))


def _label(known: Mapping[str, Change], task: TaskSpec) -> tuple[str, str]:
    if task.id not in known:
        return escaped(task.id), "dim"
    change = known[task.id]
    words = [task.id, change.status]
    if change.status == "Running":
        words.append(f"{time.monotonic() - change.at_s:.1f} s")
    if change.attempt > 1:
        words.append(f"attempt {change.attempt}")
    return escaped("  ".join([*words, change.detail]).rstrip()), _STYLES.get(change.status, "")
