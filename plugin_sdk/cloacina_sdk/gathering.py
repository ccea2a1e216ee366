"""What `workflow` does with a class or a module: gather its tasks, assemble and record."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import TypeVar

from cloacina_sdk.assembly import (
    Workflow,
    WorkflowOptions,
    assemble,
    tasks_of_class,
    tasks_of_module,
)
from cloacina_sdk.collect import current_collection
from cloacina_sdk.errors import InvalidDefinitionError

C = TypeVar("C", bound=type)

ATTRIBUTE = "__cloacina_workflow__"

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def of_class(kind: C, *, name: str | None, options: WorkflowOptions) -> C:
    """Attach the workflow of a class's tasks to the class, record it, return the class."""
    snake_case = _WORD_START.sub("_", kind.__name__).lower()
    made = assemble(name or snake_case, tasks_of_class(kind), options)
    setattr(kind, ATTRIBUTE, made)
    current_collection().add(made)
    return kind


def of_module(given: ModuleType | str, *, name: str | None, options: WorkflowOptions) -> Workflow:
    """Store the workflow of a module's own tasks in the module, record and return it."""
    module = sys.modules.get(given) if isinstance(given, str) else given
    if not isinstance(module, ModuleType):
        raise InvalidDefinitionError(
            f"workflow() takes a class, a module or an imported module's name, not {given!r}; "
            "at the end of a module write workflow(__name__)"
        )
    last_part = module.__name__.rpartition(".")[2]
    made = assemble(name or last_part, tasks_of_module(module), options)
    setattr(module, ATTRIBUTE, made)
    current_collection().add(made)
    return made
