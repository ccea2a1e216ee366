"""The framing of a package archive: every byte that is not the content of an entry.

The framing is a pure function of the entries' names, sizes and checksums, shared by the writer
and by the reader, which regenerates it and compares.

Rules: entries stored, flags 0, version 20, modified 1980-01-01 00:00, no extra fields, comments,
descriptors or ZIP64, attributes 0, contiguous from byte 0, central order = local order.

Source: PKWARE APPNOTE 6.3.9, sections 4.3.7 (local header), 4.3.12 (central record) and
4.3.16 (end record).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloacina_signing.errors import shown

MAX_ARCHIVE_BYTES = 512 * 1024 * 1024
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_ENTRIES = 4096

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_CENTRAL_RECORD = struct.Struct("<4s6H3L5H2L")
_END_RECORD = struct.Struct("<4s4H2LH")
END_RECORD_BYTES = _END_RECORD.size

_VERSION = 20
_MIDNIGHT = 0
_FIRST_OF_1980 = 1 << 5 | 1  # years since 1980 << 9 | month << 5 | day


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFrame:
    """What the framing needs to know of one entry; `offset` is that of its local header."""

    name: str
    size_bytes: int
    crc32: int
    offset: int

    @property
    def content_offset(self) -> int:
        """Where the content starts."""
        return self.offset + LOCAL_HEADER.size + len(self.name)

    @property
    def end_offset(self) -> int:
        """Where the content ends and the next structure starts."""
        return self.content_offset + self.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One structure of the framing, where it stands and what its bytes must be."""

    structure: str
    offset: int
    raw: bytes


def local_frame(entry: EntryFrame) -> Frame:
    """Generate the local header of an entry."""
    raw = LOCAL_HEADER.pack(LOCAL_SIGNATURE, *_shared_fields(entry), len(entry.name), 0)
    return Frame(
        structure=f"local header of {shown(entry.name)}",
        offset=entry.offset,
        raw=raw + entry.name.encode("ascii"),
    )


def closing_frames(entries: Sequence[EntryFrame]) -> Iterator[Frame]:
    """Generate the central directory and the end record, in the order of the bytes."""
    start = offset = entries[-1].end_offset if entries else 0
    for entry in entries:
        raw = _central_record(entry)
        yield Frame(structure=f"central record of {shown(entry.name)}", offset=offset, raw=raw)
        offset += len(raw)
    count = len(entries)
    end = _END_RECORD.pack(END_SIGNATURE, 0, 0, count, count, offset - start, start, 0)
    yield Frame(structure="end record", offset=offset, raw=end)


def _central_record(entry: EntryFrame) -> bytes:
    name = entry.name.encode("ascii")
    fields = _shared_fields(entry)
    tail = (len(name), 0, 0, 0, 0, 0, entry.offset)
    return _CENTRAL_RECORD.pack(CENTRAL_SIGNATURE, _VERSION, *fields, *tail) + name


def _shared_fields(entry: EntryFrame) -> tuple[int, ...]:
    """Return version needed, flags, method, time, date, checksum and both sizes."""
    size = entry.size_bytes
    return (_VERSION, 0, 0, _MIDNIGHT, _FIRST_OF_1980, entry.crc32, size, size)
