"""Where workflows are recorded as they are defined.

* A `Collection` is an ordered set of workflows, told apart by tenant, package and name;
  defining one again replaces it in its place.
* Builders and `workflow` record in the innermost `collecting` of their context; outside of
  any, in the process's default collection, which is a convenience for scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

from cloacina_sdk.assembly import Workflow, assemble, tasks_of_module


class Collection:
    """Workflows in the order in which they were first recorded.

    Safe for several threads: each operation is one step on a dict or list.
    """

    def __init__(self) -> None:
        self._workflows: dict[tuple[str, str, str], Workflow] = {}
        self._subscribers: list[Callable[[Workflow], None]] = []

    def add(self, workflow: Workflow) -> None:
        """Record a workflow, in the place of an earlier one of the same name, and announce it."""
        self._workflows[workflow.tenant, workflow.package, workflow.name] = workflow
        for callback in self._subscribers.copy():
            callback(workflow)

    def workflows(self) -> list[Workflow]:
        """Return all workflows recorded so far."""
        return list(self._workflows.values())

    def subscribe(self, callback: Callable[[Workflow], None]) -> Callable[[], None]:
        """Call back, in the recording thread, for every workflow recorded from now on.

        To miss none, subscribe first and then read `workflows`.

        Returns:
            A function that ends the subscription; calling it again does nothing.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe


_default = Collection()
_current: ContextVar[Collection] = ContextVar("_current", default=_default)


def default_collection() -> Collection:
    """Return the process's collection, which serves where no `collecting` is active."""
    return _default


def current_collection() -> Collection:
    """Return the collection that a workflow defined here and now is recorded in."""
    return _current.get()


@contextmanager
def collecting(collection: Collection) -> Iterator[Collection]:
    """Record what this context defines meanwhile in a collection of its own."""
    token = _current.set(collection)
    try:
        yield collection
    finally:
        _current.reset(token)


def workflows_of(
    module: ModuleType, *, name: str, recorded: Iterable[Workflow] = ()
) -> list[Workflow]:
    """Return everything that a module offers to a package.

    Args:
        module: an imported module.
        name: what to call the workflow of those tasks that stand alone in the module.
        recorded: the workflows that were recorded while the module was imported.

    Returns:
        What was recorded, then one workflow of the module's own tasks that none of them took.

    Raises:
        InvalidWorkflowError: if the tasks that stand alone make no valid workflow.
    """
    found = list(recorded)
    taken = {id(function) for workflow in found for function in workflow.functions.values()}
    alone = [
        definition for definition in tasks_of_module(module) if id(definition.function) not in taken
    ]
    if alone:
        found.append(assemble(name, alone))
    return found
