"""Load verified packages into a runtime, and take them out again.

Loading is all or nothing: the package is verified, unpacked, started in a worker whose workflows
are compared with the manifest, and only then registered through the plugin manager's hooks.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pluggy

from cloacina.errors import PackageNotLoadedError
from cloacina.executors.workers import WorkerExecutor
from cloacina.packages.config import PackageConfig
from cloacina.packages.content_store import Unpacked, unpack
from cloacina.packages.home import Home
from cloacina.packages.host import this_host
from cloacina.packages.plugin import PackagePlugin, package_info
from cloacina.packages.refusal import (
    PackageMismatchError,
    PackageRefusedError,
    Reason,
    Refusal,
)
from cloacina.packages.verify import VerifiedPackage, verify
from cloacina.plugins import notify, register_plugin
from cloacina.runtime import Runtime
from cloacina_native.frames import frame_limit
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.hooks import PackageInfo
from cloacina_sdk.manifest import Manifest
from cloacina_sdk.spec import WorkflowSpec
from cloacina_signing.archive import MAX_ARCHIVE_BYTES

_LOG = logging.getLogger("cloacina")
_TENANT = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPackage:
    """A package whose workflows can be run."""

    name: str
    version: str
    digest: str
    workflows: tuple[str, ...]


class PackageLoader:
    """The packages of one runner."""

    def __init__(
        self,
        config: PackageConfig,
        runtime: Runtime,
        plugins: pluggy.PluginManager,
        executor: WorkerExecutor,
        *,
        slots: int,
        max_context_bytes: int,
    ) -> None:
        """Register with ``plugins``, run on ``executor``, up to ``slots`` attempts at once.

        Workers take and return contexts of up to ``max_context_bytes``; 0 is no limit.
        """
        self._slots = slots
        self._max_frame_bytes = frame_limit(max_context_bytes)
        self._lock = threading.Lock()
        self._config = config
        self._runtime = runtime
        self._plugins = plugins
        self._executor = executor
        self._loaded: dict[str, tuple[LoadedPackage, PackageInfo]] = {}

    def load(
        self, source: Path | bytes, now: datetime, *, allow_unsigned: bool = False
    ) -> LoadedPackage:
        """Verify a package, start it and offer its workflows.

        Its names mean this version from now on, also if it was loaded already.

        Raises:
            PackageRefusedError: with every reason of verification, or a plugin's.
            PackageLoadError: if its code raises when it is imported.
            PackageMismatchError: if its code does not offer what the manifest says.
        """
        package = self._verify(source, now, allow_unsigned=allow_unsigned)
        with self._lock:
            if package.digest in self._loaded:
                self._runtime.activate(package.digest)
                return self._loaded[package.digest][0]
            return self._load(package)

    def _load(self, package: VerifiedPackage) -> LoadedPackage:
        info = package_info(package.manifest, package.digest)
        notify(self._plugins, "cloacina_package_verified", lambda: {"package": info})
        self._ask_plugins(info)
        unpacked = unpack(package, Home(self._config.home).store)

        def start_worker() -> WorkerProcess:
            return self._start(package.manifest, unpacked)

        warm = start_worker()
        self._executor.serve(
            package.digest,
            start_worker,
            max_workers=self._config.workers_per_package or self._slots,
            warm=warm,
        )
        plugin = PackagePlugin(package.manifest, package.digest, _TENANT)
        try:
            register_plugin(self._plugins, plugin, self._runtime, name=package.digest)
        except BaseException:
            self._runtime.remove_package(package.digest)
            self._executor.dismiss(package.digest, 0)
            raise
        loaded = LoadedPackage(
            name=package.manifest.name,
            version=package.manifest.version,
            digest=package.digest,
            workflows=tuple(workflow.name for workflow in package.manifest.workflows),
        )
        self._loaded[package.digest] = loaded, info
        notify(self._plugins, "cloacina_package_loaded", lambda: {"package": info})
        return loaded

    def unload(self, digest: str, timeout_s: float) -> None:
        """Offer nothing of a package any more and end its workers.

        Raises:
            PackageNotLoadedError: if it is not loaded.
        """
        with self._lock:
            if digest not in self._loaded:
                raise PackageNotLoadedError(digest)
            _, info = self._loaded.pop(digest)
            self._runtime.remove_package(digest)
            self._plugins.unregister(name=digest)
            self._executor.dismiss(digest, timeout_s)
        notify(self._plugins, "cloacina_package_unloaded", lambda: {"package": info})

    def _start(self, manifest: Manifest, unpacked: Unpacked) -> WorkerProcess:
        """Start a worker on files that are still what was verified, and hold it to the manifest."""
        unpacked.check()
        worker = WorkerProcess.start(
            unpacked.directory,
            name=manifest.name,
            environment=self._config.environment,
            max_frame_bytes=self._max_frame_bytes,
        )
        try:
            _hold_to_manifest(manifest, worker.load(manifest.name, manifest.modules))
        except BaseException:
            worker.close(0)
            raise
        return worker

    def _verify(
        self, source: Path | bytes, now: datetime, *, allow_unsigned: bool
    ) -> VerifiedPackage:
        raw = source if isinstance(source, bytes) else read_package(source)
        is_allowed = allow_unsigned and self._config.allow_unsigned
        trust = self._config.trust
        package = verify(
            raw,
            trust=trust if trust is not None else Home(self._config.home).trust(),
            host=this_host(),
            now=now,
            allow_unsigned=is_allowed,
        )
        if not package.signers:
            _LOG.warning("loading the unsigned package %s, as allowed", package.digest)
        return package

    def _ask_plugins(self, info: PackageInfo) -> None:
        """Refuse the package if any plugin gives a reason, or cannot say."""
        reasons: list[Reason] = []
        for implementation in self._plugins.hook.cloacina_deny_package.get_hookimpls():
            try:
                answer = implementation.function(
                    **{name: info for name in implementation.argnames if name == "package"}
                )
            except Exception:  # noqa: BLE001 - a policy that cannot answer must not let a package in
                _LOG.exception("plugin %s could not judge a package", implementation.plugin_name)
                answer = f"plugin {implementation.plugin_name} failed while it judged it"
            if answer is not None:
                reasons.append(Reason(Refusal.UNTRUSTED, str(answer)))
        if reasons:
            raise PackageRefusedError(reasons)


def read_package(path: Path) -> bytes:
    """Read a package file once, whole.

    Raises:
        PackageRefusedError: if it is larger than any package may be.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_ARCHIVE_BYTES + 1)
    if len(raw) > MAX_ARCHIVE_BYTES:
        fact = f"the file has more than {MAX_ARCHIVE_BYTES} bytes"
        raise PackageRefusedError([Reason(Refusal.FORMAT, fact)])
    return raw


def _hold_to_manifest(manifest: Manifest, offered: list[WorkflowSpec]) -> None:
    differences = list(_differences(manifest.workflows, offered))
    if differences:
        raise PackageMismatchError(manifest.name, differences)


def _differences(signed: tuple[WorkflowSpec, ...], offered: list[WorkflowSpec]) -> Iterator[str]:
    wanted = {workflow.name: workflow for workflow in signed}
    found = {workflow.name: workflow for workflow in offered}
    for name in wanted.keys() - found.keys():
        yield f"workflow {name!r} is missing"
    for name in found.keys() - wanted.keys():
        yield f"workflow {name!r} is not in the manifest"
    for name in wanted.keys() & found.keys():
        if wanted[name].to_document() != found[name].to_document():
            yield f"workflow {name!r} has other tasks or settings"
