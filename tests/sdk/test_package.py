"""The package as a whole: what it exports and what an import costs."""

import json
import subprocess
import sys
from types import FunctionType

import pytest

import cloacina_sdk

HEAVY = ("ast", "asyncio", "dataclasses", "hashlib", "inspect", "json", "logging", "pluggy")
HEAVY_AT_ANY_TIME = ("asyncio", "hashlib", "logging", "pluggy")


def modules_after(program: str) -> set[str]:
    code = (
        f"{program}\nimport sys\nnames = sorted(sys.modules)\nimport json\nprint(json.dumps(names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import cloacina_sdk")
    added = loaded - modules_after("pass")
    assert "cloacina_sdk" in loaded
    assert not loaded & set(HEAVY)
    own = {"cloacina_sdk", "cloacina_sdk.task", "cloacina_sdk.workflow"}
    assert added <= {*own, "__future__"}


def test_defining_a_workflow_loads_neither_pluggy_nor_asyncio() -> None:
    loaded = modules_after(
        "from cloacina_sdk import *\n"
        "with WorkflowBuilder('w'):\n"
        "    @task(trigger_rules=always())\n"
        "    def a(context): return Context({'a': 1})\n"
    )
    assert "cloacina_sdk.builder" in loaded
    assert not loaded & set(HEAVY_AT_ANY_TIME)


def test_only_the_hooks_load_pluggy() -> None:
    everything = (
        "import pkgutil, importlib, cloacina_sdk\n"
        "for found in pkgutil.iter_modules(cloacina_sdk.__path__):\n"
        "    if found.name != 'hooks': importlib.import_module('cloacina_sdk.' + found.name)\n"
    )
    assert "pluggy" not in modules_after(everything)
    assert "pluggy" in modules_after("import cloacina_sdk.hooks")


@pytest.mark.parametrize("name", cloacina_sdk.__all__)
def test_every_exported_name_can_be_used(name: str) -> None:
    assert getattr(cloacina_sdk, name) is not None
    assert name in dir(cloacina_sdk)


def test_the_decorators_stay_functions_whatever_is_imported_first() -> None:
    program = (
        "import cloacina_sdk.workflow, cloacina_sdk.task, cloacina_sdk.builder\n"
        "from cloacina_sdk.task import TaskDefinition\n"
        "from cloacina_sdk.workflow import Workflow\n"
        "from cloacina_sdk import task, workflow\n"
        "assert callable(task) and callable(workflow)\n"
    )
    assert "cloacina_sdk.assembly" in modules_after(program)
    assert isinstance(cloacina_sdk.task, FunctionType)


def test_an_unknown_name_is_an_attribute_error() -> None:
    for module in (
        cloacina_sdk,
        sys.modules["cloacina_sdk.task"],
        sys.modules["cloacina_sdk.workflow"],
    ):
        with pytest.raises(AttributeError, match="has no attribute 'ghost'"):
            _ = module.ghost
