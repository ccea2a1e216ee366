"""Point the workspace's dependencies at the parts in this checkout, so that ``pip install .`` works.

pip resolves ``==`` pins between the parts against the same set, hence every part is named.
"""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PARTS = {
    "cloacina-sdk": "plugin_sdk",
    "cloacina-signing": "signing",
    "cloacina-native": "native",
    "cloacina-build": "build_tool",
    "cloacina": "core",
}


class LocalParts(MetadataHookInterface):
    """Fill ``dependencies`` with one direct reference per part."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set the dependencies in place."""
        root = Path(self.root)
        metadata["dependencies"] = [
            f"{name} @ {(root / folder).as_uri()}" for name, folder in PARTS.items()
        ]
