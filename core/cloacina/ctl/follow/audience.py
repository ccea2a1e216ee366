"""Those who watch: nobody, a stream that takes lines, or a terminal."""

from collections.abc import Mapping
from typing import IO, Protocol, Self

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.follow.changes import Change
from cloacina.ctl.output import is_rich
from cloacina_sdk.spec import WorkflowSpec

_STEPS = 10
"""In how many lines the progress of a mapped task is told."""


class Audience(Protocol):
    """Shows changes, from ``__enter__`` until ``__exit__``."""

    def show(self, change: Change) -> None:
        """Take a change of an execution that is watched."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_error: object) -> None: ...


class Nobody:
    """Shows nothing."""

    def show(self, change: Change) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


class Lines(Nobody):
    """Writes one line per change: seconds since the start, task, status, attempt, detail.

    Args:
        stream: flushed after each line.
        names: what to call each execution that is watched; "" where there is only one.
        began_at_s: what times are counted from, by the monotonic clock.
    """

    def __init__(self, stream: IO[str], names: Mapping[str, str], began_at_s: float) -> None:
        self._stream = stream
        self._names = names
        self._began_at_s = began_at_s
        self._steps: dict[tuple[str, str], int] = {}

    def show(self, change: Change) -> None:
        """Write a line; of a mapped task's progress only some."""
        if change.progress is not None:
            done, count = change.progress
            place, step = (change.execution_id, change.task), done * _STEPS // count
            if self._steps.get(place) == step:
                return
            self._steps[place] = step
        offset_s = change.at_s - self._began_at_s
        name = self._names[change.execution_id]
        words = [f"{offset_s:8.3f}s", name, change.task, change.status]
        words += [f"attempt {change.attempt}" if change.attempt else "", change.detail]
        click.echo("  ".join(escaped(word) for word in words if word), file=self._stream)


def audience_for(
    stream: IO[str] | None, workflow: WorkflowSpec, names: Mapping[str, str], began_at_s: float
) -> Audience:
    """Return who shows the executions called ``names`` on a stream; ``None`` is nobody."""
    if stream is None:
        return Nobody()
    if is_rich(stream):
        from cloacina.ctl.follow.live import LiveTree  # noqa: PLC0415 - for terminals only

        return LiveTree(stream, workflow, names)
    return Lines(stream, names, began_at_s)
