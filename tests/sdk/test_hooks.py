"""Hook specifications."""

import inspect

import pluggy
import pytest

from cloacina_sdk.hooks import PROJECT, CloacinaHooks, PackageInfo, Registrar, hookimpl
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

PACKAGE = PackageInfo(name="p", version="1", release=1, publisher="me", digest="sha256:0")


def manager() -> pluggy.PluginManager:
    made = pluggy.PluginManager(PROJECT)
    made.add_hookspecs(CloacinaHooks)
    return made


def test_every_specification_is_known_and_documented() -> None:
    specified = {
        name: member for name, member in vars(CloacinaHooks).items() if name.startswith("cloacina_")
    }
    assert set(specified) == {
        "cloacina_register_tasks",
        "cloacina_executors",
        "cloacina_metrics_ready",
        "cloacina_before_attempt",
        "cloacina_after_attempt",
        "cloacina_attempt_retried",
        "cloacina_execution_finished",
        "cloacina_package_verified",
        "cloacina_package_loaded",
        "cloacina_package_unloaded",
        "cloacina_deny_package",
    }
    hooks = manager().hook
    for name, member in specified.items():
        assert inspect.getdoc(member)
        assert getattr(hooks, name).spec is not None


def test_a_plugin_hands_its_workflows_to_the_registrar() -> None:
    spec = WorkflowSpec(
        name="w",
        description="",
        tags=(),
        tasks=(TaskSpec(id="a", dependencies=(), retry=RetryPolicy(), trigger_rule=None),),
    )

    class Plugin:
        @hookimpl
        def cloacina_register_tasks(self, registrar: Registrar) -> None:
            registrar.add(spec, tenant="public", package="p", package_digest="sha256:0")

    class Shelf:
        def __init__(self) -> None:
            self.found: list[tuple[str, str, str, str | None]] = []

        def add(
            self, workflow: WorkflowSpec, *, tenant: str, package: str, package_digest: str | None
        ) -> None:
            self.found.append((workflow.name, tenant, package, package_digest))

    shelf = Shelf()
    made = manager()
    made.register(Plugin())
    made.hook.cloacina_register_tasks(registrar=shelf)
    assert shelf.found == [("w", "public", "p", "sha256:0")]


def test_every_plugin_is_asked_whether_a_package_is_denied() -> None:
    class Calm:
        @hookimpl
        def cloacina_deny_package(self, package: PackageInfo) -> str | None:
            return None

    class Strict:
        @hookimpl
        def cloacina_deny_package(self, package: PackageInfo) -> str | None:
            return f"{package.name} is not wanted"

    made = manager()
    for plugin in (Strict(), Calm(), Strict()):
        made.register(plugin)
    assert made.hook.cloacina_deny_package(package=PACKAGE) == ["p is not wanted"] * 2


def test_a_hook_with_an_unknown_argument_is_refused() -> None:
    class Wrong:
        @hookimpl
        def cloacina_package_loaded(self, packet: PackageInfo) -> None: ...

    made = manager()
    with pytest.raises(pluggy.PluginValidationError, match="packet"):
        made.register(Wrong())
