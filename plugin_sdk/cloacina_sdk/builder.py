"""`WorkflowBuilder`: a `with` block whose tasks become a workflow.

* Tasks that are defined inside the block, in its thread or context, belong to it; the
  innermost of nested blocks wins.
* When the block ends, all of them are assembled and recorded; if its body raised, nothing is
  built and the body's own exception goes on.
* Opening a builder of the same name again replaces the earlier workflow.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType

from cloacina_sdk.assembly import Workflow, WorkflowOptions, assemble
from cloacina_sdk.callbacks import Callback
from cloacina_sdk.checks import checked_name, checked_tags, checked_text
from cloacina_sdk.collect import current_collection
from cloacina_sdk.definition import TaskDefinition, TaskFunction, enlisting
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.namespace import DEFAULT_PACKAGE, DEFAULT_TENANT
from cloacina_sdk.options import timeout_in_ms


class WorkflowBuilder:
    """Build a workflow of the tasks that a `with` block defines.

    Args:
        name: the workflow's name.
        tenant: the tenant it belongs to; "public" by default.
        package: the package it belongs to; "embedded" by default.
        workflow: the name under which it is known, if that differs from `name`.

    Raises:
        InvalidDefinitionError: if the tenant or the package has no such name as workflows have.
    """

    def __init__(
        self,
        name: str,
        *,
        tenant: str | None = None,
        package: str | None = None,
        workflow: str | None = None,
    ) -> None:
        self._name = checked_text("The name of a workflow", name)
        self._workflow_id = name if workflow is None else checked_text("workflow", workflow)
        self._tenant = checked_name("The tenant", DEFAULT_TENANT if tenant is None else tenant)
        self._package = checked_name("The package", DEFAULT_PACKAGE if package is None else package)
        self._options = WorkflowOptions()
        self._enlisted: list[TaskDefinition] = []
        self._chosen: list[TaskDefinition] = []
        self._built: Workflow | None = None
        self._open = ExitStack()

    @property
    def workflow_built(self) -> Workflow:
        """The workflow that the block made.

        Raises:
            InvalidDefinitionError: before the end of the block.
        """
        if self._built is None:
            raise InvalidDefinitionError(
                f"Workflow {self._name!r} is not built yet; leave its `with` block first"
            )
        return self._built

    def description(self, text: str) -> WorkflowBuilder:
        """Say what the workflow is for."""
        self._options = replace(self._options, description=checked_text("description", text))
        return self

    def tag(self, key: str, value: str) -> WorkflowBuilder:
        """Label the workflow."""
        tags = checked_tags({key: value})
        self._options = replace(self._options, tags={**self._options.tags, **tags})
        return self

    def timeout(self, limit: timedelta | float | str) -> WorkflowBuilder:
        """Limit how long an execution may take from its start; what takes longer fails.

        Raises:
            InvalidDurationError: if it is no duration.
        """
        self._options = replace(self._options, timeout_ms=timeout_in_ms(limit))
        return self

    def fail_fast(self) -> WorkflowBuilder:
        """Cancel what is left as soon as a task fails and nobody handles that."""
        self._options = replace(self._options, fail_fast=True)
        return self

    def on_success(self, callback: Callback) -> WorkflowBuilder:
        """Have a function called with name and final context after an execution completed."""
        callbacks = replace(self._options.callbacks, on_success=callback)
        self._options = replace(self._options, callbacks=callbacks)
        return self

    def on_failure(self, callback: Callback) -> WorkflowBuilder:
        """Have a function called with name, error text and context after an execution failed."""
        callbacks = replace(self._options.callbacks, on_failure=callback)
        self._options = replace(self._options, callbacks=callbacks)
        return self

    def add_task(self, task: str | TaskFunction) -> WorkflowBuilder:
        """Choose a task for `build`, by id or by function; a block takes every task anyway.

        Raises:
            InvalidDefinitionError: if no such task was defined.
        """
        definition = self._found(task)
        if all(definition.function is not chosen.function for chosen in self._chosen):
            self._chosen.append(definition)
        return self

    def build(self) -> Workflow:
        """Return a workflow of the chosen tasks, or of all so far if none was chosen.

        It is neither recorded nor kept, so this may be called any number of times.

        Raises:
            InvalidWorkflowError: with every rule that the tasks break together.
        """
        return self._assembled(self._chosen or self._enlisted)

    def __enter__(self) -> WorkflowBuilder:
        self._enlisted.clear()
        self._open.enter_context(enlisting(self._enlisted.append))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        chosen, self._chosen = self._chosen, []
        if kind is not None:
            return
        taken = {id(definition.function) for definition in self._enlisted}
        added = [definition for definition in chosen if id(definition.function) not in taken]
        self._built = self._assembled([*self._enlisted, *added])
        current_collection().add(self._built)

    def __repr__(self) -> str:
        return f"WorkflowBuilder(name={self._name!r})"

    def _assembled(self, definitions: list[TaskDefinition]) -> Workflow:
        return assemble(
            self._workflow_id,
            definitions,
            self._options,
            tenant=self._tenant,
            package=self._package,
        )

    def _found(self, task: object) -> TaskDefinition:
        if isinstance(task, str):
            found = next((known for known in self._enlisted if known.id == task), None)
        elif callable(task):
            found = TaskDefinition.of(task)
        else:
            raise InvalidDefinitionError(
                f"add_task() takes a string task ID or a function object, not {task!r}"
            )
        if found is None:
            raise InvalidDefinitionError(
                f"Task {task!r} not found in registry; define it with @task, "
                "for a string inside this block"
            )
        return found
