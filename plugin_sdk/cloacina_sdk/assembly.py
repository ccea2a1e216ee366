"""Assemble task definitions into a `Workflow` that keeps every rule.

* Names in dependencies and rules are resolved inside the workflow: functions by their
  declared id, and full names of its own tasks by their last part.
* A `Workflow` never changes; fingerprints and digests are computed when first asked for,
  because they read the tasks' source.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType, MappingProxyType, ModuleType
from typing import Final

from cloacina_sdk import graph
from cloacina_sdk.callbacks import NO_CALLBACKS, Callbacks
from cloacina_sdk.checks import checked_name
from cloacina_sdk.definition import Dependency, TaskDefinition, TaskFunction
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.injection import is_async
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.namespace import DEFAULT_PACKAGE, DEFAULT_TENANT, TaskNamespace
from cloacina_sdk.rules import with_task_names
from cloacina_sdk.spec import TaskSpec, WorkflowSpec


class Workflow:
    """A validated workflow of Python functions; make one with `workflow` or `WorkflowBuilder`."""

    def __init__(
        self,
        spec: WorkflowSpec,
        functions: Mapping[str, TaskFunction],
        *,
        tenant: str = DEFAULT_TENANT,
        package: str = DEFAULT_PACKAGE,
        callbacks: Callbacks = NO_CALLBACKS,
    ) -> None:
        checked_name("The tenant", tenant)
        checked_name("The package", package)
        spec.validate()
        self._callbacks: Final = callbacks
        self._spec: Final = spec
        self._functions: Final = MappingProxyType(dict(functions))
        self._tenant: Final = tenant
        self._package: Final = package
        self._fingerprinted: tuple[WorkflowSpec, bool] | None = None
        self._digest: str | None = None

    @property
    def name(self) -> str:
        """The name, unique in its tenant and package."""
        return self._spec.name

    @property
    def tenant(self) -> str:
        """The tenant that the workflow belongs to."""
        return self._tenant

    @property
    def package(self) -> str:
        """The package that the workflow belongs to."""
        return self._package

    @property
    def description(self) -> str:
        """What the workflow is for, or ""."""
        return self._spec.description

    @property
    def tags(self) -> dict[str, str]:
        """A copy of the tags."""
        return dict(self._spec.tags)

    @property
    def functions(self) -> Mapping[str, TaskFunction]:
        """The body of each task, by id."""
        return self._functions

    @property
    def callbacks(self) -> Callbacks:
        """What is called when an execution has ended; no part of the version."""
        return self._callbacks

    def callbacks_of(self, task_id: str) -> Callbacks:
        """Return what is called about attempts of a task."""
        definition = TaskDefinition.of(self._functions[task_id])
        return NO_CALLBACKS if definition is None else definition.callbacks

    @property
    def spec(self) -> WorkflowSpec:
        """What a host plans from, with the fingerprint of every task's code."""
        return self._with_fingerprints()[0]

    @property
    def is_from_source(self) -> bool:
        """Whether every fingerprint was taken of source text, not of bytecode."""
        return self._with_fingerprints()[1]

    @property
    def digest(self) -> str:
        """The sha256 of all that decides how the workflow runs, in 64 hexadecimal digits."""
        if self._digest is None:
            from cloacina_sdk.digest import workflow_digest  # noqa: PLC0415 - loads hashlib

            self._digest = workflow_digest(self.spec, tenant=self.tenant)
        return self._digest

    @property
    def version(self) -> str:
        """The first 16 digits of the digest."""
        return self.digest[:16]

    def namespace_of(self, task_id: str) -> TaskNamespace:
        """Return the full name of a task."""
        return TaskNamespace(self.tenant, self.package, self.name, task_id)

    def topological_sort(self) -> list[str]:
        """Return the full names of all tasks, each after its dependencies."""
        return self._full(graph.topological_order(self._spec.graph()))

    def get_execution_levels(self) -> list[list[str]]:
        """Return the full names of all tasks in waves that need only earlier waves."""
        return [self._full(wave) for wave in graph.execution_levels(self._spec.graph())]

    def get_roots(self) -> list[str]:
        """Return the full names of the tasks that depend on none."""
        return self._full(graph.roots(self._spec.graph()))

    def get_leaves(self) -> list[str]:
        """Return the full names of the tasks on which none depends."""
        return self._full(graph.leaves(self._spec.graph()))

    def validate(self) -> None:
        """Check every rule once more; a workflow that exists has passed already."""
        self._spec.validate()

    def to_graph_document(self) -> dict[str, JsonValue]:
        """Return the graph as JSON: nodes, edges and metadata."""
        from cloacina_sdk.drawing import graph_document  # noqa: PLC0415 - rarely asked for

        return graph_document(self.spec, tenant=self.tenant, package=self.package)

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        from cloacina_sdk.drawing import mermaid  # noqa: PLC0415 - rarely asked for

        return mermaid(self._spec)

    def to_dot(self) -> str:
        """Return the graph in Graphviz's language."""
        from cloacina_sdk.drawing import dot  # noqa: PLC0415 - rarely asked for

        return dot(self._spec)

    def _full(self, task_ids: Iterable[str]) -> list[str]:
        return [str(self.namespace_of(task_id)) for task_id in task_ids]

    def _with_fingerprints(self) -> tuple[WorkflowSpec, bool]:
        if self._fingerprinted is None:
            from cloacina_sdk.fingerprint import code_fingerprint  # noqa: PLC0415 - reads source

            codes = [code_fingerprint(self._functions[task.id]) for task in self._spec.tasks]
            tasks = tuple(
                replace(task, fingerprint=code.digest)
                for task, code in zip(self._spec.tasks, codes, strict=True)
            )
            from_source = all(code.from_source for code in codes)
            self._fingerprinted = replace(self._spec, tasks=tasks), from_source
        return self._fingerprinted

    def __repr__(self) -> str:
        return f"Workflow(name={self.name!r}, tasks={len(self._spec.tasks)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowOptions:
    """What can be said of a workflow beside its name and tasks; see `WorkflowSpec`."""

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int | None = None
    fail_fast: bool = False
    callbacks: Callbacks = NO_CALLBACKS


def assemble(
    name: str,
    definitions: Iterable[TaskDefinition],
    options: WorkflowOptions | None = None,
    *,
    tenant: str = DEFAULT_TENANT,
    package: str = DEFAULT_PACKAGE,
) -> Workflow:
    """Make a workflow of task definitions, in their order.

    Raises:
        InvalidDefinitionError: if a dependency is a callable without a name.
        InvalidWorkflowError: with every rule that the result breaks.
    """
    options = options or WorkflowOptions()
    known = list(definitions)
    prefix = f"{tenant}::{package}::{name}::"

    def bare(task_name: str) -> str:
        return task_name.removeprefix(prefix)

    spec = WorkflowSpec(
        name=name,
        description=options.description,
        tags=tuple(sorted(options.tags.items())),
        timeout_ms=options.timeout_ms,
        fail_fast=options.fail_fast,
        tasks=tuple(_task_spec(definition, bare) for definition in known),
    )
    functions = {definition.id: definition.function for definition in known}
    return Workflow(spec, functions, tenant=tenant, package=package, callbacks=options.callbacks)


def tasks_of_module(module: ModuleType) -> list[TaskDefinition]:
    """Return the tasks that a module defines itself, in definition order."""
    definitions = _distinct(vars(module).values())
    return [found for found in definitions if _is_defined_in(found.function, module)]


def tasks_of_class(kind: type) -> list[TaskDefinition]:
    """Return the tasks of a class and its bases, the bases' first, in definition order."""
    attributes: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        attributes |= vars(base)
    return _distinct(
        value.__func__ if isinstance(value, staticmethod) else value
        for value in attributes.values()
    )


def _distinct(values: Iterable[object]) -> list[TaskDefinition]:
    found = [definition for value in values if (definition := TaskDefinition.of(value))]
    return list({id(definition.function): definition for definition in found}.values())


def _is_defined_in(function: TaskFunction, module: ModuleType) -> bool:
    return not isinstance(function, FunctionType) or function.__module__ == module.__name__


def _task_spec(definition: TaskDefinition, bare: Callable[[str], str]) -> TaskSpec:
    rule = definition.trigger_rule
    return TaskSpec(
        id=definition.id,
        dependencies=tuple(bare(_id_of(needed)) for needed in definition.dependencies),
        retry=definition.retry,
        trigger_rule=None if rule is None else with_task_names(rule, bare),
        allow_failure=definition.allow_failure,
        is_async=is_async(definition.function),
        timeout_ms=definition.timeout_ms,
        description=_description(definition.function),
        mapped=definition.mapped,
        throttle=definition.throttle,
        takes_handle=definition.takes_handle,
    )


def _id_of(dependency: Dependency) -> str:
    if isinstance(dependency, str):
        return dependency
    definition = TaskDefinition.of(dependency)
    name = definition.id if definition else getattr(dependency, "__name__", None)
    if not isinstance(name, str):
        raise InvalidDefinitionError(f"The dependency {dependency!r} is no task and has no name")
    return name


def _description(function: TaskFunction) -> str:
    if not isinstance(function, FunctionType):
        return ""  # the docstring would be that of functools.partial, or of the object's class
    return inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0]
