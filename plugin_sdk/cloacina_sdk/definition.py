"""What `@task` makes of its options and a function: a `TaskDefinition`.

A definition knows its dependencies as they were written; names are resolved when a workflow is
assembled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TypeAlias

from cloacina_sdk.callbacks import NO_CALLBACKS, Callbacks
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.rules import Rule
from cloacina_sdk.throttle import Throttle

TaskFunction: TypeAlias = Callable[..., object]
Dependency: TypeAlias = str | TaskFunction

ATTRIBUTE = "__cloacina_task__"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """A task as it was written.

    Attributes:
        function: the body, called with one Context, the element if it is mapped, and the handle
            if it takes one.
        dependencies: ids and functions of other tasks, in declared order.
        trigger_rule: when the task runs; None is the default rule.
        timeout_ms: how long one attempt may take; None for what the host says.
        mapped: set where the body runs once for each element of a list.
        throttle: limits of its attempts beside the slots of a runner.
        takes_handle: whether the body is called with a handle.
    """

    id: str
    function: TaskFunction
    dependencies: tuple[Dependency, ...]
    retry: RetryPolicy
    trigger_rule: Rule | None
    allow_failure: bool
    timeout_ms: int | None = None
    mapped: Mapped | None = None
    throttle: Throttle | None = None
    callbacks: Callbacks = NO_CALLBACKS
    takes_handle: bool = False

    @staticmethod
    def of(function: object) -> TaskDefinition | None:
        """Return what `@task` attached to a function, or None.

        A wrapper that copied the attributes of the task it wraps is the body itself then.
        """
        definition = getattr(function, ATTRIBUTE, None)
        if not isinstance(definition, TaskDefinition) or not callable(function):
            return None
        if definition.function is function:
            return definition
        return replace(definition, function=function)


_enlist: ContextVar[Callable[[TaskDefinition], None] | None] = ContextVar("_enlist", default=None)


@contextmanager
def enlisting(callback: Callable[[TaskDefinition], None]) -> Iterator[None]:
    """Hand every task that this context defines meanwhile to a callback; the innermost wins."""
    token = _enlist.set(callback)
    try:
        yield
    finally:
        _enlist.reset(token)


def enlist(definition: TaskDefinition) -> None:
    """Hand a task to whoever collects those that are being defined, if anybody does."""
    callback = _enlist.get()
    if callback is not None:
        callback(definition)
