"""Writing the canonical archive of a package.

Rules:

* The same entries give the same bytes, whatever the machine, day or zlib.
* The entries must come in the canonical order (see `archive_names`): the writer refuses what the
  reader would refuse and reorders nothing.
"""

import zlib
from collections.abc import Sequence

from cloacina_signing.archive_layout import (
    MAX_ARCHIVE_BYTES,
    MAX_ENTRIES,
    MAX_MANIFEST_BYTES,
    EntryFrame,
    closing_frames,
    local_frame,
)
from cloacina_signing.archive_names import check_names
from cloacina_signing.errors import NonCanonicalArchiveError


def write_archive(entries: Sequence[tuple[str, bytes | memoryview]]) -> bytes:
    """Build the archive of these (name, content) pairs, given in canonical order.

    Raises:
        NonCanonicalArchiveError: a name, the order or a size breaks a rule of the format.
    """
    check_names([name for name, _ in entries])
    _check_sizes(entries)
    pieces: list[bytes | memoryview] = []
    frames: list[EntryFrame] = []
    offset = 0
    for name, content in entries:
        frame = EntryFrame(
            name=name, size_bytes=len(content), crc32=zlib.crc32(content), offset=offset
        )
        frames.append(frame)
        pieces += [local_frame(frame).raw, content]
        offset = frame.end_offset
    pieces += [closing.raw for closing in closing_frames(frames)]
    raw = b"".join(pieces)
    if len(raw) > MAX_ARCHIVE_BYTES:
        raise _too_large(len(raw))
    return raw


def _check_sizes(entries: Sequence[tuple[str, bytes | memoryview]]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise NonCanonicalArchiveError("entries", f"more than {MAX_ENTRIES} of them")
    if len(entries[0][1]) > MAX_MANIFEST_BYTES:
        fact = f"{len(entries[0][1])} bytes, at most {MAX_MANIFEST_BYTES} are allowed"
        raise NonCanonicalArchiveError("manifest", fact)
    total = sum(len(content) for _, content in entries)
    if total > MAX_ARCHIVE_BYTES:
        raise _too_large(total)


def _too_large(size_bytes: int) -> NonCanonicalArchiveError:
    fact = f"{size_bytes} bytes, at most {MAX_ARCHIVE_BYTES} are allowed"
    return NonCanonicalArchiveError("file", fact)
