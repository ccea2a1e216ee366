"""What the tasks of one execution see and pass on, computed when it is asked for.

Rules it upholds:

* a view is kept while somebody may ask for it again: until the task has ended, and what the task
  passes on until all that depend on it have ended;
* equal views are the same object wherever nothing changed in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloacina.model import context
from cloacina.model.topology import Topology
from cloacina.planner.task import TaskState
from cloacina_sdk.changes import Changes

NO_CHANGES = Changes(assigned={}, removed=frozenset())


@dataclass(slots=True)
class Views:
    """The views of one execution. Its tasks are those of the execution, by number."""

    topology: Topology
    tasks: Sequence[TaskState]
    input_texts: Mapping[str, str]
    _input: context.View | None = None
    _seen: dict[int, context.View] = field(default_factory=dict)
    _passed_on: dict[int, context.View] = field(default_factory=dict)

    def seen_by(self, number: int) -> context.View:
        """Return what task ``number`` sees: the merge of what its dependencies pass on."""
        known = self._seen.get(number)
        if known is None:
            known = self._merge(self.topology.dependencies[number], number)
            self._seen[number] = known
        return known

    def final(self) -> context.View:
        """Return the merge of what all leaves pass on."""
        return self._merge(self.topology.leaves, len(self.topology))

    def settle(self, number: int) -> None:
        """Fix what a finished task passes on, and let go of views that nobody needs any more."""
        self.passed_on(number)
        self._seen.pop(number, None)
        for dependency in self.topology.dependencies[number]:
            self.tasks[dependency].needed_by -= 1
            if not self.tasks[dependency].needed_by:
                self._passed_on.pop(dependency, None)

    def passed_on(self, number: int) -> context.View:
        """Return what task ``number`` passes on: its view with its changes.

        A task that produced nothing, because it was skipped or failed, passes its view through.
        """
        known = self._passed_on.get(number)
        if known is not None:
            return known
        for ancestor in self._unknown_ancestors(number):
            changes = self.tasks[ancestor].changes or NO_CHANGES
            view = self._merge(self.topology.dependencies[ancestor], ancestor)
            self._passed_on[ancestor] = context.apply(changes, view, ancestor)
        return self._passed_on[number]

    def _unknown_ancestors(self, number: int) -> list[int]:
        """Tasks, dependencies first, whose passed-on view must be computed to know ``number``'s."""
        order: list[int] = []
        seen: set[int] = set()
        stack = [(number, False)]
        while stack:
            current, expanded = stack.pop()
            if expanded:
                order.append(current)
            elif current not in seen and current not in self._passed_on:
                seen.add(current)
                stack.append((current, True))
                stack.extend((d, False) for d in self.topology.dependencies[current])
        return order

    def _merge(self, dependencies: tuple[int, ...], writer: int) -> context.View:
        if not dependencies:
            if self._input is None:
                self._input = context.input_view(self.input_texts)
            return self._input
        views = [self.passed_on(dependency) for dependency in dependencies]
        if len(views) == 1:
            return views[0]
        return context.merge(views, self.topology, writer)
