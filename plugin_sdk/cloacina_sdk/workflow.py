"""The `workflow` decorator: make a workflow of a class or a module that holds tasks.

This module imports nothing, so that `import cloacina_sdk` stays cheap.
"""

from __future__ import annotations

__all__ = ["Workflow", "workflow"]

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import TypeVar, overload

    from cloacina_sdk.assembly import Workflow

    C = TypeVar("C", bound=type)

if TYPE_CHECKING:

    @overload
    def workflow(
        target: C,
        /,
        *,
        name: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> C: ...
    @overload
    def workflow(
        target: ModuleType | str,
        /,
        *,
        name: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Workflow: ...
    @overload
    def workflow(
        *,
        name: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Callable[[C], C]: ...


def workflow(
    target: C | ModuleType | str | None = None,
    /,
    *,
    name: str | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> C | Workflow | Callable[[C], C]:
    """Make the tasks of a class or a module a workflow and record it.

    As a decorator (`@workflow` or `@workflow(...)`) it takes the functions of the class that
    are marked by `@task`, attaches the workflow as `__cloacina_workflow__` and returns the
    class unchanged. (Type checkers take the functions of a class for methods: there, write
    `@staticmethod` under `@task`.) Called at the end of a module as `workflow(__name__)` it takes the
    module's own tasks, stores the workflow in the module under that name and returns it.

    Args:
        target: a class, a module, or the name of a module that is imported.
        name: the workflow's name; by default the class's name in snake_case, or the last part
            of the module's name.
        description: what it is for.
        tags: labels for people and tools.

    Raises:
        InvalidDefinitionError: for another kind of target.
        InvalidWorkflowError: with every rule that the tasks break together.
    """
    from cloacina_sdk import gathering  # noqa: PLC0415 - paid by the first workflow, not by the import

    if target is not None and not isinstance(target, type):
        return gathering.of_module(target, name=name, description=description, tags=tags)

    def decorate(kind: C) -> C:
        return gathering.of_class(kind, name=name, description=description, tags=tags)

    return decorate if target is None else decorate(target)


def __getattr__(name: str) -> object:
    if name == "Workflow":
        from cloacina_sdk.assembly import Workflow  # noqa: PLC0415 - as above

        return Workflow
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
