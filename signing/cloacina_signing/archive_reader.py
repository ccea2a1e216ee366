"""Reading a package archive, accepting only the canonical bytes of its contents.

Rules:

* The size is capped before anything is parsed.
* From each local header only the name and the size are taken. Everything else is regenerated from
  them and from the content, and compared with what stands in the file: headers, checksums, central
  directory, end record, and that nothing follows. Every byte of the file is therefore either
  content or known, and two parsers cannot disagree about it.
* Contents are views into the one bytes object that was passed; nothing is copied, so what was
  verified is what is used.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloacina_signing.archive_layout import (
    CENTRAL_SIGNATURE,
    END_SIGNATURE,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MAX_ARCHIVE_BYTES,
    MAX_ENTRIES,
    MAX_MANIFEST_BYTES,
    EntryFrame,
    Frame,
    closing_frames,
    local_frame,
)
from cloacina_signing.archive_names import MANIFEST, MAX_NAME_BYTES, SIGNATURES, check_names
from cloacina_signing.errors import NonCanonicalArchiveError, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A canonical archive: its bytes, and its entries as read-only views into them, in order."""

    raw: bytes
    entries: Mapping[str, memoryview]

    @property
    def manifest(self) -> bytes:
        """A copy of the manifest's raw bytes, which are what is signed."""
        return bytes(self.entries[MANIFEST])

    @property
    def signatures(self) -> bytes | None:
        """A copy of the raw signatures, or None when the package carries none."""
        view = self.entries.get(SIGNATURES)
        return None if view is None else bytes(view)


def read_archive(raw: bytes) -> Archive:
    """Read an archive and prove that its bytes are canonical.

    Raises:
        NonCanonicalArchiveError: names the structure and the offset of the first difference.
    """
    if len(raw) > MAX_ARCHIVE_BYTES:
        fact = f"{len(raw)} bytes, at most {MAX_ARCHIVE_BYTES} are read"
        raise NonCanonicalArchiveError("file", fact)
    raw = bytes(raw)  # no copy of bytes; a caller's bytearray could change after the check
    view = memoryview(raw)
    frames = _read_local_entries(view)
    check_names([frame.name for frame in frames])
    if frames[0].size_bytes > MAX_MANIFEST_BYTES:
        fact = f"{frames[0].size_bytes} bytes, at most {MAX_MANIFEST_BYTES} are read"
        raise NonCanonicalArchiveError("manifest", fact)
    _check_closing(view, frames)
    contents = {frame.name: view[frame.content_offset : frame.end_offset] for frame in frames}
    return Archive(raw=raw, entries=MappingProxyType(contents))


def _read_local_entries(view: memoryview) -> list[EntryFrame]:
    frames: list[EntryFrame] = []
    offset = 0
    while (signature := bytes(view[offset : offset + 4])) not in (CENTRAL_SIGNATURE, END_SIGNATURE):
        _check_starts_entry(signature, offset)
        if len(frames) == MAX_ENTRIES:
            raise NonCanonicalArchiveError("entries", f"more than {MAX_ENTRIES}", offset=offset)
        frame = _read_local_entry(view, offset)
        _compare(view, local_frame(frame))
        frames.append(frame)
        offset = frame.end_offset
    return frames


def _check_starts_entry(signature: bytes, offset: int) -> None:
    if signature == LOCAL_SIGNATURE:
        return
    if len(signature) < len(LOCAL_SIGNATURE):
        raise _truncated("the next entry or the central directory", offset)
    fact = "neither an entry nor the central directory starts here"
    raise NonCanonicalArchiveError("file", fact, offset=offset)


def _read_local_entry(view: memoryview, offset: int) -> EntryFrame:
    name_offset = offset + LOCAL_HEADER.size
    if name_offset > len(view):
        raise _truncated("a local header", len(view))
    fields = LOCAL_HEADER.unpack_from(view, offset)
    size, name_bytes = fields[7], fields[9]
    if name_bytes > MAX_NAME_BYTES:
        fact = f"its name of {name_bytes} bytes is longer than {MAX_NAME_BYTES}"
        raise NonCanonicalArchiveError("local header", fact, offset=offset)
    raw_name = bytes(view[name_offset : name_offset + name_bytes])
    if len(raw_name) < name_bytes:
        raise _truncated("the name of an entry", len(view))
    if not raw_name.isascii():
        fact = f"its name {raw_name[:100]!r} is not ASCII"
        raise NonCanonicalArchiveError("local header", fact, offset=offset)
    name = raw_name.decode("ascii")
    content = view[name_offset + name_bytes : name_offset + name_bytes + size]
    if len(content) < size:
        raise _truncated(f"the content of {shown(name)}, said to be {size} bytes", len(view))
    return EntryFrame(name=name, size_bytes=size, crc32=zlib.crc32(content), offset=offset)


def _check_closing(view: memoryview, frames: list[EntryFrame]) -> None:
    end = 0
    for frame in closing_frames(frames):
        _compare(view, frame)
        end = frame.offset + len(frame.raw)
    if end != len(view):
        fact = f"{len(view) - end} bytes follow the end of the archive"
        raise NonCanonicalArchiveError("end record", fact, offset=end)


def _compare(view: memoryview, frame: Frame) -> None:
    actual = view[frame.offset : frame.offset + len(frame.raw)]
    if actual == frame.raw:
        return
    for position, (found, wanted) in enumerate(zip(actual, frame.raw, strict=False)):
        if found != wanted:
            fact = f"holds {found:#04x} where {wanted:#04x} is the only canonical byte"
            raise NonCanonicalArchiveError(frame.structure, fact, offset=frame.offset + position)
    raise _truncated(f"the {frame.structure}", len(view))


def _truncated(structure: str, offset: int) -> NonCanonicalArchiveError:
    return NonCanonicalArchiveError("file", f"truncated: it ends in {structure}", offset=offset)
