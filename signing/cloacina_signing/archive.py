"""The canonical package archive, ``cloacina-package/1``: one set of contents, one file.

A ZIP whose entries are all stored, in exactly this order::

    manifest.json                its raw bytes are what is signed; at most 1 MiB
    payload/<file>...            sorted by name
    payload/vendor/<file>...     sorted by name
    attest/<file>...             sorted by name
    signatures.json              last; absent from an unsigned package

This module is the face of `archive_names`, `archive_layout`, `archive_writer` and
`archive_reader`, whose docstrings list the rules.
"""

import hashlib
from collections.abc import Sequence

from cloacina_signing.archive_layout import MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_MANIFEST_BYTES
from cloacina_signing.archive_names import MANIFEST, SIGNATURES, check_names, entry_order
from cloacina_signing.archive_reader import Archive, read_archive
from cloacina_signing.archive_writer import write_archive

__all__ = [
    "MANIFEST",
    "MAX_ARCHIVE_BYTES",
    "MAX_ENTRIES",
    "MAX_MANIFEST_BYTES",
    "SIGNATURES",
    "Archive",
    "check_names",
    "entry_order",
    "package_digest",
    "read_archive",
    "with_signatures",
    "write_archive",
]


def package_digest(manifest: bytes) -> str:
    """Return the identity of a package, ``sha256:<hex>`` of its raw manifest."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def with_signatures(archive: Archive, raw_signatures: bytes | None) -> bytes:
    """Write the archive again with other signatures, or with none; the identity stays."""
    entries: Sequence[tuple[str, bytes | memoryview]] = [
        (name, content) for name, content in archive.entries.items() if name != SIGNATURES
    ]
    closing = [] if raw_signatures is None else [(SIGNATURES, raw_signatures)]
    return write_archive([*entries, *closing])
