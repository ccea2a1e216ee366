"""Plugins of a runner: objects whose ``hookimpl`` methods observe it or offer workflows."""

from collections.abc import Callable
from typing import Any

import pluggy

from cloacina.log import Logger
from cloacina_sdk.hooks import PROJECT, CloacinaHooks, Registrar

_LOG = Logger("cloacina")


def new_plugin_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the hooks and has no plugins."""
    plugins = pluggy.PluginManager(PROJECT)
    plugins.add_hookspecs(CloacinaHooks)
    return plugins


def register_plugin(
    plugins: pluggy.PluginManager, plugin: object, registrar: Registrar, *, name: str | None = None
) -> None:
    """Register ``plugin`` and take the workflows that it offers; on an error, neither.

    Raises:
        ValueError: if it, or another of that name, is registered already, or if it wraps hooks:
            hooks observe, and there is nothing to wrap.
    """
    plugins.register(plugin, name=name)
    try:
        _refuse_wrappers(plugins, plugin)
        # only this plugin is asked: the others handed theirs over when they came
        others = [other for other in plugins.get_plugins() if other is not plugin]
        plugins.subset_hook_caller("cloacina_register_tasks", others)(registrar=registrar)
    except BaseException:
        plugins.unregister(plugin)
        raise


def refuse_executors(plugins: pluggy.PluginManager, plugin: object) -> None:
    """Refuse a plugin that brings executors to a runner that has begun.

    Raises:
        ValueError: if it does.
    """
    if plugins.parse_hookimpl_opts(plugin, "cloacina_executors") is not None:
        raise ValueError(
            "a plugin that brings executors has to be there when the runner starts: "
            "pass it as DefaultRunner(..., plugins=[plugin])"
        )


def _refuse_wrappers(plugins: pluggy.PluginManager, plugin: object) -> None:
    for caller in plugins.get_hookcallers(plugin) or ():
        for implementation in caller.get_hookimpls():
            is_wrapper = implementation.wrapper or implementation.hookwrapper
            if implementation.plugin is plugin and is_wrapper:
                raise ValueError(f"{caller.name} cannot be wrapped; implement it without wrapper=")


def notify(
    plugins: pluggy.PluginManager,
    hook: str,
    arguments: Callable[[], dict[str, Any]],
    *,
    only: object | None = None,
) -> None:
    """Call every implementation of an observing hook; a faulty one is logged and left aside.

    ``arguments`` is called only if there is an implementation. With ``only``, no other plugin is
    told.
    """
    caller: pluggy.HookCaller = getattr(plugins.hook, hook)
    for implementation in caller.get_hookimpls():
        if only is not None and implementation.plugin is not only:
            continue
        try:
            values = arguments()
            implementation.function(*(values[name] for name in implementation.argnames))
        except BaseException:  # noqa: BLE001 - nothing that a plugin raises may stop the engine
            _LOG.exception("hook %s of plugin %s failed", hook, implementation.plugin_name)
