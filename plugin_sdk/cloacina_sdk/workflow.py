"""The `workflow` decorator: make a workflow of a class or a module that holds tasks.

This module imports nothing, so that `import cloacina_sdk` stays cheap.
"""

from __future__ import annotations

__all__ = ["Workflow", "workflow"]

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
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
        timeout: timedelta | float | str | None = None,
        fail_fast: bool = False,
        on_success: Callable[..., object] | None = None,
        on_failure: Callable[..., object] | None = None,
    ) -> C: ...
    @overload
    def workflow(
        target: ModuleType | str,
        /,
        *,
        name: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        timeout: timedelta | float | str | None = None,
        fail_fast: bool = False,
        on_success: Callable[..., object] | None = None,
        on_failure: Callable[..., object] | None = None,
    ) -> Workflow: ...
    @overload
    def workflow(
        *,
        name: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        timeout: timedelta | float | str | None = None,
        fail_fast: bool = False,
        on_success: Callable[..., object] | None = None,
        on_failure: Callable[..., object] | None = None,
    ) -> Callable[[C], C]: ...


def workflow(
    target: C | ModuleType | str | None = None,
    /,
    *,
    name: str | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    timeout: timedelta | float | str | None = None,
    fail_fast: bool = False,
    on_success: Callable[..., object] | None = None,
    on_failure: Callable[..., object] | None = None,
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
        timeout: how long an execution may take from its start, as a timedelta, seconds, or text
            such as "5m"; what takes longer fails.
        fail_fast: whether the first failure that nobody handles cancels what is left.
        on_success: called with the workflow's name and the final context after it completed.
        on_failure: called with name, error text and context after it failed. Both as for `task`.

    Raises:
        InvalidDefinitionError: for another kind of target, or of an option.
        InvalidWorkflowError: with every rule that the tasks break together.
    """
    # paid by the first workflow, not by the import
    from cloacina_sdk import gathering  # noqa: PLC0415
    from cloacina_sdk.assembly import WorkflowOptions  # noqa: PLC0415
    from cloacina_sdk.callbacks import Callbacks  # noqa: PLC0415
    from cloacina_sdk.checks import checked_flag, checked_tags, checked_text  # noqa: PLC0415
    from cloacina_sdk.options import timeout_in_ms  # noqa: PLC0415

    if name is not None:
        checked_text("The name of a workflow", name)
    options = WorkflowOptions(
        description=checked_text("description", description),
        tags={} if tags is None else checked_tags(tags),
        timeout_ms=timeout_in_ms(timeout),
        fail_fast=checked_flag("fail_fast", fail_fast),
        callbacks=Callbacks(on_success=on_success, on_failure=on_failure),
    )
    if target is not None and not isinstance(target, type):
        return gathering.of_module(target, name=name, options=options)

    def decorate(kind: C) -> C:
        return gathering.of_class(kind, name=name, options=options)

    return decorate if target is None else decorate(target)


def __getattr__(name: str) -> object:
    if name == "Workflow":
        from cloacina_sdk.assembly import Workflow  # noqa: PLC0415 - as above

        return Workflow
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
