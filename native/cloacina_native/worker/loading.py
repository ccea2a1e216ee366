"""Import a package's modules and gather the workflows that they define."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from cloacina_sdk.assembly import Workflow
from cloacina_sdk.collect import Collection, collecting, workflows_of
from cloacina_sdk.errors import InvalidDefinitionError


def load_package(package: str, modules: Sequence[str]) -> dict[str, Workflow]:
    """Import modules in order and return all workflows by name.

    Tasks of a module that no workflow took make one named after the package.

    Raises:
        InvalidDefinitionError: if two workflows have one name.
        Exception: whatever the modules raise.
    """
    collection = Collection()
    with collecting(collection):
        imported = [import_module(name) for name in modules]
    by_name: dict[str, Workflow] = {}
    for workflow in _offered(package, imported, collection.workflows()):
        if workflow.name in by_name:
            raise InvalidDefinitionError(
                f"Package {package!r} defines two workflows called {workflow.name!r}; "
                "give one of them another name"
            )
        _refuse_callbacks(workflow)
        by_name[workflow.name] = workflow
    return by_name


def _refuse_callbacks(workflow: Workflow) -> None:
    named = {f"task {id!r}": workflow.callbacks_of(id) for id in workflow.functions}
    named[f"workflow {workflow.name!r}"] = workflow.callbacks
    guilty = [name for name, callbacks in named.items() if not callbacks.is_empty]
    if guilty:
        raise InvalidDefinitionError(
            f"{', '.join(guilty)}: a package cannot have on_success, on_failure or on_retry, for "
            "they run in the host, where code of packages never does; use a task that depends on it"
        )


def _offered(
    package: str, modules: Sequence[ModuleType], recorded: list[Workflow]
) -> list[Workflow]:
    offered = list(recorded)
    for module in modules:
        offered += workflows_of(module, name=package, recorded=recorded)[len(recorded) :]
    return offered
