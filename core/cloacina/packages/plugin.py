"""The host-side plugin object of one loaded package: it offers what the signed manifest says."""

from cloacina_sdk.hooks import PackageInfo, Registrar, hookimpl
from cloacina_sdk.manifest import Manifest


def package_info(manifest: Manifest, digest: str) -> PackageInfo:
    """Return what hooks are told about a package."""
    return PackageInfo(
        name=manifest.name,
        version=manifest.version,
        release=manifest.release,
        publisher=manifest.publisher,
        digest=digest,
    )


class PackagePlugin:
    """Registered with the plugin manager for as long as its digest is loaded."""

    def __init__(self, manifest: Manifest, digest: str, tenant: str) -> None:
        """Offer the workflows of ``manifest`` under ``digest``."""
        self._manifest = manifest
        self._digest = digest
        self._tenant = tenant

    @hookimpl
    def cloacina_register_tasks(self, registrar: Registrar) -> None:
        """Hand over the workflows that the manifest describes."""
        for workflow in self._manifest.workflows:
            registrar.add(
                workflow,
                tenant=self._tenant,
                package=self._manifest.name,
                package_digest=self._digest,
            )
