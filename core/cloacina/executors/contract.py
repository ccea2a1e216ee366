"""What the engine asks of an executor."""

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cloacina_sdk.changes import Changes
from cloacina_sdk.mapped import Element
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure

Result = Changes | TaskFailure
Report = Callable[[Result], None]
"""Takes the end of an attempt; called once, from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of one task, recorded as running and not yet begun.

    Attributes:
        execution_id: the execution that it belongs to.
        namespace: tenant, package, workflow and task.
        number: 1 for the first attempt.
        token: proof that a report is about this very attempt.
        texts: the merged context, key -> JSON text.
        package_digest: of the package whose worker runs it; ``None`` for an embedded task.
        function: the body of an embedded task.
        variables: the context variables of whoever submitted, to be copied.
        element: what the attempt is for, if the task is mapped; the attempts of all its elements
            have one and the same ``texts``.
    """

    execution_id: str
    namespace: TaskNamespace
    number: int
    token: str
    texts: Mapping[str, str]
    package_digest: str | None = None
    function: Callable[..., Any] | None = None
    variables: contextvars.Context | None = None
    element: Element | None = None


class Executor(Protocol):
    """Runs attempts. Safe to call from any thread; no call may block on a body."""

    def start(self, attempt: Attempt, report: Report) -> None:
        """Begin ``attempt``; call ``report`` when its body has ended, whatever happened."""

    def stop(self, token: str, *, is_kill: bool) -> None:
        """Make the attempt with this token end soon; nothing, if it is not here any more.

        Asked first, with ``is_kill`` false, an attempt may end in its own way. With ``is_kill`` it
        is ended by force where that is possible; a thread cannot be, and its end is reported
        whenever it comes.
        """

    def close(self, timeout_s: float) -> None:
        """Stop, waiting at most ``timeout_s`` for bodies that are running."""
