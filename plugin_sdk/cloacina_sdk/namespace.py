"""The full name of a task: `tenant::package::workflow::task`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloacina_sdk.errors import InvalidNamespaceError

DEFAULT_TENANT = "public"
DEFAULT_PACKAGE = "embedded"


@dataclass(frozen=True, slots=True, order=True)
class TaskNamespace:
    """The four parts that tell one task from every other.

    The namespace of a workflow itself has an empty `task_id` and is written in three parts.
    """

    tenant_id: str
    package_name: str
    workflow_id: str
    task_id: str

    @staticmethod
    def from_string(text: str) -> TaskNamespace:
        """Parse `a::b::c::d`, or `a.b.c.d` when it has exactly four parts.

        Raises:
            InvalidNamespaceError: for any other form, or when a part is empty.
        """
        given: object = text
        if not isinstance(given, str):
            raise InvalidNamespaceError(given)
        parts = text.split("::" if "::" in text else ".")
        if len(parts) != 4 or not all(parts):
            raise InvalidNamespaceError(text)
        return TaskNamespace(*parts)

    def parent(self) -> TaskNamespace:
        """Return the namespace of the workflow that the task belongs to."""
        return replace(self, task_id="")

    def is_child_of(self, other: TaskNamespace) -> bool:
        """Tell whether this is a task of the workflow that `other` names."""
        return bool(self.task_id) and not other.task_id and self.parent() == other

    def is_sibling_of(self, other: TaskNamespace) -> bool:
        """Tell whether this and `other` are two tasks of one workflow."""
        return (
            bool(self.task_id)
            and bool(other.task_id)
            and self.task_id != other.task_id
            and self.parent() == other.parent()
        )

    def __str__(self) -> str:
        parts = (self.tenant_id, self.package_name, self.workflow_id, self.task_id)
        return "::".join(parts if self.task_id else parts[:3])
