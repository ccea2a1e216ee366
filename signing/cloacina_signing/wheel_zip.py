"""The ZIP of a wheel, read so that no other reader can see another one in the same bytes.

Rules:

* The file starts with the first local header and ends with the end record; there is no comment,
  no ZIP64, no second disk.
* Members stand contiguously, in the order of the central directory, and the local header of each
  says the same as its central record.
* Members are stored or deflated regular files; directories are accepted when they are empty
  (repaired wheels carry them) and nothing is made of them. No encryption, descriptor, extra field,
  comment, link, device or setuid bit.
* The number of members is capped before they are read, and the sizes before they are inflated.

Source: PKWARE APPNOTE 6.3.9.
"""

import stat
import struct
from dataclasses import dataclass
from typing import NamedTuple

from cloacina_signing.errors import shown

STORED = 0
DEFLATED = 8

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_ALLOWED_FLAGS = 0x0806  # names in UTF-8 (11); hints on the effort of the compressor (1 and 2)
_UTF8_FLAG = 0x0800
_SPECIAL_MODES = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member, still compressed; `content` is a view into the wheel."""

    name: str
    method: int
    crc32: int
    size_bytes: int
    content: memoryview


class _Shared(NamedTuple):
    """The fields that a local header and a central record both hold."""

    version: int
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    packed: int
    size: int


class _Central(NamedTuple):
    """One central record."""

    shared: _Shared
    raw_name: bytes
    other_bytes: int
    disk: int
    mode: int
    offset: int
    end: int


class _End(NamedTuple):
    """What the end record says of the central directory."""

    entries: int
    start: int
    stop: int


def read_members(view: memoryview, max_entries: int) -> tuple[list[Member], list[str]]:
    """Read the members of a wheel, in order, and every problem of its structure.

    The members are complete only when there is no problem.
    """
    problems: list[str] = []
    members: list[Member] = []
    end = _read_end(view, max_entries, problems)
    if end is None:
        return members, problems
    offset = 0
    for central in _read_central(view, end, problems):
        found = _member_problems(central)
        member, following = _read_local(view, central, offset, found)
        name = shown(member.name)
        problems += [f"{name} {problem}" for problem in found]
        if not member.name.endswith("/"):
            members.append(member)
        if following is None:
            return members, problems
        offset = following
    if offset != end.start and not problems:
        problems.append(f"{end.start - offset} bytes stand between the members and the directory")
    return members, problems


def _read_end(view: memoryview, max_entries: int, problems: list[str]) -> _End | None:
    start = len(view) - _END.size
    if start < 0 or bytes(view[start : start + 4]) != b"PK\x05\x06":
        problems.append("it does not end in an end record: truncated, or a comment or data follows")
        return None
    _, disk, directory_disk, here, count, size, offset, comment = _END.unpack_from(view, start)
    if (disk, directory_disk, comment, here) != (0, 0, 0, count):
        problems.append("its end record tells of several disks or of a comment")
    if count > max_entries:
        problems.append(f"it has {count} entries, at most {max_entries} are unpacked")
    if offset + size != start:
        problems.append("its central directory does not end where the end record starts")
    if problems:
        return None
    return _End(entries=count, start=offset, stop=start)


def _read_central(view: memoryview, end: _End, problems: list[str]) -> list[_Central]:
    records: list[_Central] = []
    offset = end.start
    for _ in range(end.entries):
        record = _read_record(view, offset, end.stop)
        if record is None:
            problems.append(f"its central directory is broken at byte {offset}")
            return []
        records.append(record)
        offset = record.end
    if offset != end.stop:
        problems.append(f"{end.stop - offset} bytes of its central directory are no record")
    return records


def _read_record(view: memoryview, offset: int, stop: int) -> _Central | None:
    name_offset = offset + _CENTRAL.size
    if name_offset > stop:
        return None
    fields = _CENTRAL.unpack_from(view, offset)
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, start = fields[10:]
    end = name_offset + name_bytes + extra_bytes + comment_bytes
    if fields[0] != b"PK\x01\x02" or end > stop:
        return None
    return _Central(
        shared=_Shared(*fields[2:10]),
        raw_name=bytes(view[name_offset : name_offset + name_bytes]),
        other_bytes=extra_bytes + comment_bytes,
        disk=disk,
        mode=attributes >> 16,
        offset=start,
        end=end,
    )


def _member_problems(central: _Central) -> list[str]:
    shared = central.shared
    problems: list[str] = []
    if shared.flags & ~_ALLOWED_FLAGS:
        problems.append(f"has flags {shared.flags:#06x}: encrypted, or its sizes stand after it")
    if shared.method not in (STORED, DEFLATED):
        problems.append(f"is compressed by method {shared.method}; only deflate is read")
    if shared.method == STORED and shared.packed != shared.size:
        problems.append("is stored, yet has two sizes")
    if central.other_bytes or central.disk:
        problems.append("has an extra field, a comment or another disk in the directory")
    problems += _mode_problems(central)
    return problems


def _mode_problems(central: _Central) -> list[str]:
    kind = stat.S_IFMT(central.mode)
    if central.raw_name.endswith(b"/"):
        if central.shared.size or central.shared.packed or kind not in (0, stat.S_IFDIR):
            return ["is named like a directory, yet is none or holds something"]
    elif kind not in (0, stat.S_IFREG):
        return ["is a link or another special file"]
    return ["has a setuid, setgid or sticky bit"] if central.mode & _SPECIAL_MODES else []


def _read_local(
    view: memoryview, central: _Central, offset: int, problems: list[str]
) -> tuple[Member, int | None]:
    """Compare the local header; return the member and where the next one starts, if known."""
    shared = central.shared
    name = _decode(central, problems)
    start = offset + _LOCAL.size + len(central.raw_name)
    member = Member(
        name=name,
        method=shared.method,
        crc32=shared.crc32,
        size_bytes=shared.size,
        content=view[start : start + shared.packed],
    )
    expected = (b"PK\x03\x04", *shared, len(central.raw_name), 0)
    if central.offset != offset:
        problems.append(f"starts at byte {central.offset}, not {offset} where the last one ended")
    elif offset + _LOCAL.size > len(view) or _LOCAL.unpack_from(view, offset) != expected:
        problems.append("has a local header that differs from its central record")
    elif view[start - len(central.raw_name) : start] != central.raw_name:
        problems.append("has another name in its local header")
    elif len(member.content) != shared.packed:
        problems.append("is cut short")
    else:
        return member, start + shared.packed
    return member, None


def _decode(central: _Central, problems: list[str]) -> str:
    raw = central.raw_name
    try:
        return raw.decode("utf-8" if central.shared.flags & _UTF8_FLAG else "ascii")
    except UnicodeDecodeError:
        problems.append("has a name that is neither ASCII nor marked as UTF-8")
        return raw.decode("latin-1")
