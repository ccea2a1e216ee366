"""The life of an execution and of a package, as hooks that plugins implement.

* This is the only module of the SDK that imports pluggy.
* Hooks observe; the one that decides, `cloacina_deny_package`, can only refuse.
* A hook that fails is logged and left aside: it never changes what the engine does.
* Hooks are called from the engine's own threads and must return quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pluggy

from cloacina_sdk.executor import TaskExecutor
from cloacina_sdk.metrics import Sample
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import WorkflowSpec

PROJECT = "cloacina"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementInfo:
    """The element of a mapped task that an attempt is for, and how far its task is.

    Attributes:
        index: its place in the list, from 0.
        count: how many elements there are.
        done: how many of them have ended, well or not.
        failed: how many of those failed for good.
    """

    index: int
    count: int
    done: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInfo:
    """One attempt to run a task.

    Attributes:
        element: set where the task is mapped.
        attempt: counted from 1.
        package_digest: `sha256:<hex>` of the package, or None for an embedded workflow.
    """

    execution_id: str
    namespace: TaskNamespace
    attempt: int
    package_digest: str | None
    element: ElementInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOutcome:
    """How an attempt ended.

    Attributes:
        status: "Succeeded", "Failed", or "Deferred" if its body ended the run to wait.
        failure: why it failed, or None.
        duration_s: from the moment its start was decided until its end was taken.
    """

    status: str
    failure: TaskFailure | None
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInfo:
    """An execution that has reached its end.

    Attributes:
        workflow: the workflow's name.
        status: the final state, such as "Completed".
    """

    execution_id: str
    workflow: str
    status: str
    package_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInfo:
    """A package, as its manifest says.

    Attributes:
        digest: `sha256:<hex>` of the manifest, the package's identity.
    """

    name: str
    version: str
    release: int
    publisher: str
    digest: str


class Registrar(Protocol):
    """Takes the workflows that a plugin offers."""

    def add(
        self, workflow: WorkflowSpec, *, tenant: str, package: str, package_digest: str | None
    ) -> None:
        """Offer a workflow to the host."""


class CloacinaHooks:
    """The specifications; implement those you need and mark them with `hookimpl`."""

    @hookspec
    def cloacina_register_tasks(self, registrar: Registrar) -> None:
        """Hand every workflow of this plugin to the registrar.

        Called once when the plugin is registered.
        """

    @hookspec
    def cloacina_executors(self) -> Mapping[str, TaskExecutor] | None:
        """Make executors, by the names that routing rules use; None for none.

        Called once when a runner starts, for the plugins that it starts with; an error keeps it
        from starting.
        """

    @hookspec
    def cloacina_metrics_ready(self, read: Callable[[], Sequence[Sample]]) -> None:
        """Take the function that reads a runner's metrics, to export them.

        Called once when the runner has started, or when the plugin comes later. The function may
        be called by any thread at any time; once the runner is shut down, it raises.
        """

    @hookspec
    def cloacina_before_attempt(self, attempt: AttemptInfo) -> None:
        """Learn that an attempt is about to start; that it does is durable already."""

    @hookspec
    def cloacina_after_attempt(self, attempt: AttemptInfo, outcome: AttemptOutcome) -> None:
        """Learn how an attempt ended, after that was committed."""

    @hookspec
    def cloacina_attempt_retried(self, attempt: AttemptInfo, delay_s: float) -> None:
        """Learn that a failed attempt is followed by another one after a delay."""

    @hookspec
    def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
        """Learn that an execution has reached its end, after that was committed."""

    @hookspec
    def cloacina_package_verified(self, package: PackageInfo) -> None:
        """Learn that a package passed every check."""

    @hookspec
    def cloacina_package_loaded(self, package: PackageInfo) -> None:
        """Learn that a package's tasks can be run from now on."""

    @hookspec
    def cloacina_package_unloaded(self, package: PackageInfo) -> None:
        """Learn that a package's tasks can no longer be run."""

    @hookspec
    def cloacina_deny_package(self, package: PackageInfo) -> str | None:
        """Return a reason to refuse a package that was verified, or None.

        Every plugin is asked and any reason refuses; no answer can make a package trusted.
        """
