"""The executors of one runner: the built-in ones, those it was given, and those of its plugins."""

from collections.abc import Iterator, Mapping
from typing import Final

import pluggy

from cloacina.errors import InvalidRoutingError
from cloacina.executors.feeder import FedExecutor
from cloacina.executors.loop import LoopExecutor
from cloacina.executors.routing import (
    BUILT_IN,
    LOOP,
    THREAD,
    WORKER,
    RoutingConfig,
    check_name,
)
from cloacina.executors.threads import ThreadExecutor
from cloacina.executors.workers import WorkerExecutor
from cloacina.kernel.bodies import Bodies
from cloacina.kernel.routes import Routes
from cloacina.runtime import Runtime
from cloacina_sdk.executor import TaskExecutor


class Fleet:
    """Everything that runs attempts for one runner."""

    def __init__(
        self,
        runtime: Runtime,
        brought: Mapping[str, TaskExecutor],
        routing: RoutingConfig,
        *,
        slots: int,
        workers_per_package: int | None,
    ) -> None:
        """Bring the executors together.

        Raises:
            UnknownExecutorError: if the routing names one that is not here.
        """
        self.bodies: Final = Bodies(runtime)
        self.loop: Final = LoopExecutor(self.bodies.find)
        self.workers: Final = WorkerExecutor()
        self.routes: Final = Routes(
            {
                THREAD: ThreadExecutor(slots, self.bodies.find),
                LOOP: self.loop,
                WORKER: self.workers,
                **{name: FedExecutor(name, executor) for name, executor in brought.items()},
            },
            routing,
            workers_per_package=workers_per_package,
        )


def brought_executors(
    given: Mapping[str, TaskExecutor] | None, plugins: pluggy.PluginManager
) -> dict[str, TaskExecutor]:
    """Return the executors that a runner was given and that its plugins make.

    Raises:
        InvalidRoutingError: if a name cannot be used, or is used twice.
        TypeError: if something is no executor.
    """
    found: dict[str, TaskExecutor] = {}
    for name, executor in [*(given or {}).items(), *_offered(plugins)]:
        check_name(name)
        if name in BUILT_IN or name in found:
            raise InvalidRoutingError(name, "is the name of another executor; choose a new one")
        _check_contract(name, executor)
        found[name] = executor
    return found


def _offered(plugins: pluggy.PluginManager) -> Iterator[tuple[str, TaskExecutor]]:
    answers: list[Mapping[str, TaskExecutor]] = plugins.hook.cloacina_executors()
    for answer in answers:
        yield from answer.items()


def _check_contract(name: str, executor: object) -> None:
    wanted = ("capacity", "can_kill", "start", "cancel", "metrics", "close")
    missing = [each for each in wanted if not hasattr(executor, each)]
    if missing:
        raise TypeError(f"executor {name!r} is no TaskExecutor: it lacks {', '.join(missing)}")
    capacity = executor.capacity  # type: ignore[attr-defined]  # it was looked for above
    is_count = type(capacity) is int and capacity >= 1
    if capacity is not None and not is_count:
        raise TypeError(
            f"executor {name!r} has capacity {capacity!r}; it is a number from 1 or None"
        )
