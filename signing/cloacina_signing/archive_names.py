"""The names that a package archive may hold, and the one order they stand in.

Rules:

* The entries are, in this order: ``manifest.json``; ``payload/<file>``; ``payload/vendor/<file>``;
  ``attest/<file>``; ``signatures.json``. Within each of the three folders the entries are sorted
  by name (ASCII order). The first is required, the last is absent from an unsigned package.
* A name is ASCII, at most 200 bytes and 4 segments; a segment is
  ``[A-Za-z0-9_][A-Za-z0-9._+-]*``, does not end in a dot and is no device name of Windows.
* No two names are equal ignoring case.
"""

import re
from collections.abc import Sequence

from cloacina_signing.errors import NonCanonicalArchiveError, shown

MANIFEST = "manifest.json"
SIGNATURES = "signatures.json"
MAX_NAME_BYTES = 200
MAX_SEGMENTS = 4

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_PLACES = (
    re.compile(re.escape(MANIFEST)),
    re.compile(r"payload/(?!vendor\Z)[^/]+"),
    re.compile(r"payload/vendor/[^/]+"),
    re.compile(r"attest/[^/]+"),
    re.compile(re.escape(SIGNATURES)),
)


def entry_order(name: str) -> tuple[int, str]:
    """Return the sort key of an entry, so that ``sorted(names, key=entry_order)`` is canonical.

    Raises:
        NonCanonicalArchiveError: the name has no place in a package archive.
    """
    _check_name(name)
    for place, pattern in enumerate(_PLACES):
        if pattern.fullmatch(name):
            return place, name
    raise _refused(name, "is neither the manifest, a payload, an attestation nor the signatures")


def check_names(names: Sequence[str]) -> None:
    """Check every name, that none appears twice, and that they stand in the canonical order.

    Raises:
        NonCanonicalArchiveError: names the first entry that breaks a rule.
    """
    if not names or names[0] != MANIFEST:
        raise NonCanonicalArchiveError("entries", f"the first entry must be {MANIFEST}")
    seen: set[str] = set()
    previous: tuple[int, str] | None = None
    for name in names:
        order = entry_order(name)
        if name.lower() in seen:
            raise _refused(name, "appears twice (names are compared ignoring case)")
        if previous is not None and order < previous:
            raise _refused(name, f"must stand before {shown(previous[1])}")
        seen.add(name.lower())
        previous = order


def _check_name(name: str) -> None:
    if not name.isascii() or len(name) > MAX_NAME_BYTES:
        raise _refused(name, f"must be ASCII of at most {MAX_NAME_BYTES} bytes")
    segments = name.split("/")
    if len(segments) > MAX_SEGMENTS:
        raise _refused(name, f"has more than {MAX_SEGMENTS} segments")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment.endswith("."):
            raise _refused(name, f"has the segment {shown(segment)}, which is not allowed")
        if _DEVICE.fullmatch(segment):
            raise _refused(name, f"has the segment {shown(segment)}, a device name of Windows")


def _refused(name: str, fact: str) -> NonCanonicalArchiveError:
    return NonCanonicalArchiveError(f"entry {shown(name)}", fact)
