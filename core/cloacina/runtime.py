"""Every registry of a host in one object: which workflows there are, and where their tasks run.

Tests and hosts that want nothing shared make a ``Runtime`` of their own; the default one reads
what the decorators collected.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from cloacina.errors import AmbiguousWorkflowError, UnknownWorkflowError
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity
from cloacina_sdk.callbacks import NO_CALLBACKS, Callbacks
from cloacina_sdk.collect import Collection, default_collection
from cloacina_sdk.definition import TaskDefinition
from cloacina_sdk.spec import WorkflowSpec
from cloacina_sdk.workflow import Workflow

Body = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A workflow that this host can run."""

    tenant: str
    package: str
    package_digest: str | None
    name: str
    version: str
    topology: Topology
    functions: Mapping[str, Body]
    """Task id -> body; empty where a worker runs the tasks."""
    callbacks: Callbacks = NO_CALLBACKS
    """Of the workflow itself."""

    def callbacks_of(self, task_id: str) -> Callbacks:
        """Return what is to be called about attempts of a task."""
        definition = TaskDefinition.of(self.functions.get(task_id))
        return NO_CALLBACKS if definition is None else definition.callbacks

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Tenant, package, workflow and version."""
        return self.tenant, self.package, self.name, self.version

    @property
    def qualified_name(self) -> str:
        """``package::workflow``, which is unique within a tenant."""
        return f"{self.package}::{self.name}"

    @property
    def full_name(self) -> str:
        """``tenant::package::workflow``, which is unique."""
        return f"{self.tenant}::{self.qualified_name}"


class Runtime:
    """The workflows of a host, embedded and packaged. Safe to use from several threads."""

    def __init__(self, *, collection: Collection | None = None) -> None:
        """Offer what ``collection`` holds and will hold; by default an empty one of its own."""
        self._lock = threading.RLock()
        self._embedded: dict[tuple[str, str, str], Registered] = {}
        self._packaged: dict[tuple[str, str, str], Registered] = {}
        self._versions: dict[tuple[str, str, str, str], Registered] = {}
        self._listeners: list[Callable[[], None]] = []
        self.collection = collection if collection is not None else Collection()
        self.collection.subscribe(self.register)
        for workflow in self.collection.workflows():
            self.register(workflow)

    def register(self, workflow: Workflow) -> None:
        """Offer an embedded workflow; one of the same name is replaced for new executions."""
        registered = Registered(
            tenant=workflow.tenant,
            package=workflow.package,
            package_digest=None,
            name=workflow.name,
            version=workflow.version,
            topology=Topology.of(workflow.spec),
            functions=workflow.functions,
            callbacks=workflow.callbacks,
        )
        with self._lock:
            self._embedded[workflow.tenant, workflow.package, workflow.name] = registered
            self._versions[registered.identity] = registered
        self._tell()

    def add(
        self,
        workflow: WorkflowSpec,
        *,
        tenant: str,
        package: str,
        package_digest: str | None,
    ) -> None:
        """Offer a workflow of a loaded package (the ``Registrar`` that plugins are handed)."""
        if package_digest is None:
            raise ValueError("a packaged workflow is registered under its package's digest")
        registered = Registered(
            tenant=tenant,
            package=package,
            package_digest=package_digest,
            name=workflow.name,
            version=package_digest,
            topology=Topology.of(workflow),
            functions={},
        )
        with self._lock:
            self._packaged[tenant, package, workflow.name] = registered
            self._versions[registered.identity] = registered
        self._tell()

    def activate(self, package_digest: str) -> None:
        """Let the names of a package's workflows mean this loaded version."""
        with self._lock:
            for found in self._versions.values():
                if found.package_digest == package_digest:
                    self._packaged[found.tenant, found.package, found.name] = found

    def remove_package(self, package_digest: str) -> None:
        """Offer nothing of a package any more; its names mean what was loaded before it, if any."""
        with self._lock:
            for key in [k for k, v in self._versions.items() if v.package_digest == package_digest]:
                del self._versions[key]
            active = [k for k, v in self._packaged.items() if v.package_digest == package_digest]
            for place in active:
                del self._packaged[place]
            for found in self._versions.values():  # in the order of loading: the latest stays
                place = found.tenant, found.package, found.name
                if place in active and found.package_digest is not None:
                    self._packaged[place] = found

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each registration; return what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    def workflows(self) -> list[Registered]:
        """Return everything on offer, by qualified name."""
        with self._lock:
            found = [*self._embedded.values(), *self._packaged.values()]
        return sorted(found, key=lambda each: (each.qualified_name, each.tenant))

    def resolve(self, name: str) -> Registered:
        """Return the workflow that a name means.

        Args:
            name: alone, or as ``package::workflow`` or ``tenant::package::workflow``.

        Raises:
            UnknownWorkflowError: naming the nearest names.
            AmbiguousWorkflowError: if several packages or tenants offer the name.
        """
        offered = self.workflows()
        fitting = [found for found in offered if name in _names(found)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            qualified = [found.qualified_name for found in fitting]
            is_telling = len(set(qualified)) == len(qualified)
            candidates = qualified if is_telling else [found.full_name for found in fitting]
            raise AmbiguousWorkflowError(name, candidates)
        names = {each for found in offered for each in _names(found)}
        near = get_close_matches(name, sorted(names), n=3, cutoff=0.6)
        raise UnknownWorkflowError(name, near, len(offered))

    def serving(self, identity: Identity) -> Registered | None:
        """Return who runs the tasks of an execution.

        A package serves only under its digest. An embedded workflow serves under its version; a
        run of a version that this process never had goes on with the one it has now.
        """
        place = identity.tenant, identity.package, identity.workflow
        with self._lock:
            exact = self._versions.get((*place, identity.workflow_version))
            if exact is not None or identity.package_digest is not None:
                return exact
            return self._embedded.get(place)

    def version(self, identity: Identity, version: str | None) -> Registered | None:
        """Return a version of an execution's workflow, or the one that new executions get.

        ``None`` if it was never registered here, or its package is not loaded any more.
        """
        place = identity.tenant, identity.package, identity.workflow
        with self._lock:
            if version is not None:
                return self._versions.get((*place, version))
            offered = self._embedded if identity.package_digest is None else self._packaged
            return offered.get(place)

    def exactly(self, identity: Identity) -> Registered | None:
        """Return the very version of an execution's workflow, if it is registered here."""
        place = identity.tenant, identity.package, identity.workflow, identity.workflow_version
        with self._lock:
            return self._versions.get(place)

    def can_serve(self, identity: Identity, topology: Topology) -> bool:
        """Whether every task of a stored graph has somewhere to run here."""
        served = self.serving(identity)
        return served is not None and served.topology.numbers.keys() >= topology.numbers.keys()

    def _tell(self) -> None:
        with self._lock:
            listeners: Iterable[Callable[[], None]] = list(self._listeners)
        for listener in listeners:
            listener()


def _names(found: Registered) -> set[str]:
    return {found.name, found.qualified_name, found.full_name}


@cache
def default_runtime() -> Runtime:
    """Return the runtime that offers what the decorators of this process collect."""
    return Runtime(collection=default_collection())
