"""Every error of the engine is to be had, and known, under one path."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import cloacina.errors
from cloacina.errors import EngineError
from cloacina_sdk.outcome import type_name


def errors_of_all_modules() -> list[type[EngineError]]:
    modules = [
        import_module(f"cloacina.errors.{found.name}")
        for found in pkgutil.iter_modules(cloacina.errors.__path__)
    ]
    found = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    return sorted((kind for kind in found if issubclass(kind, EngineError)), key=type_name)


@pytest.mark.parametrize("kind", errors_of_all_modules())
def test_an_error_is_recorded_under_the_path_that_it_is_imported_from(
    kind: type[EngineError],
) -> None:
    assert kind.__name__ in cloacina.errors.__all__
    assert type_name(kind) == f"cloacina.errors.{kind.__name__}"
