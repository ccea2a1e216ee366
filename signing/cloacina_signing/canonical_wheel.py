"""Packing the files of a wheel so that the same files give the same bytes.

Rules:

* Files sorted by path, the metadata directory last, RECORD written anew and last of all.
* Deflated at one fixed level by zlib, or stored where that is not smaller or would look like a
  decompression bomb; modified 1980-01-01, mode 0644, or 0755 for shared libraries; no directories,
  extra fields or comments.
* The same bytes are promised for one implementation of zlib: another one (zlib-ng, say) may deflate
  the same content to other bytes, which read back equal.
* What would not survive the strict reader's structural rules is refused here.

Source: PEP 427; reproducible archives as in PKWARE APPNOTE 6.3.9.
"""

import re
import stat
import struct
import zlib
from collections.abc import Iterable, Mapping

from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_inflate import WheelLimits
from cloacina_signing.wheel_paths import content_problems, path_problems
from cloacina_signing.wheel_record import write_record
from cloacina_signing.wheel_zip import DEFLATED, STORED

_LEVEL = 9
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_MADE_ON_UNIX = 3 << 8 | _VERSION
_MIDNIGHT = 0
_FIRST_OF_1980 = 1 << 5 | 1
_UTF8_FLAG = 0x0800
_LIBRARY = re.compile(r".*\.so(?:\.[0-9]+)*", re.DOTALL)
_LIMITS = WheelLimits()


def canonical_wheel(files: Mapping[str, bytes], dist_info: str) -> bytes:
    """Pack these files, by path, into a wheel whose metadata directory is `dist_info`.

    A RECORD among the files is replaced.

    Raises:
        WheelError: a path or a size is one that the strict reader refuses.
    """
    record_path = f"{dist_info}/RECORD"
    chosen = {path: files[path] for path in _ordered(files, dist_info) if path != record_path}
    _check(chosen, dist_info)
    members = {**chosen, record_path: write_record(chosen, record_path)}
    pieces: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for path, content in members.items():
        local, packed, central = _member(path, content, offset)
        pieces += [local, packed]
        directory.append(central)
        offset += len(local) + len(packed)
    size = sum(map(len, directory))
    count = len(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, size, offset, 0)
    return b"".join([*pieces, *directory, end])


def _ordered(paths: Iterable[str], dist_info: str) -> list[str]:
    return sorted(paths, key=lambda path: (path.startswith(f"{dist_info}/"), path))


def _check(files: Mapping[str, bytes], dist_info: str) -> None:
    problems = path_problems(files) + content_problems(files, dist_info)
    if len(files) + 1 > _LIMITS.entries:
        problems.append(f"it would have more than {_LIMITS.entries} entries")
    if any(len(content) > _LIMITS.file_bytes for content in files.values()):
        problems.append(f"a file is larger than {_LIMITS.file_bytes} bytes")
    if sum(map(len, files.values())) > _LIMITS.unpacked_bytes:
        problems.append(f"the files are larger than {_LIMITS.unpacked_bytes} bytes in all")
    if problems:
        raise WheelError(dist_info, problems)


def _member(path: str, content: bytes, offset: int) -> tuple[bytes, bytes, bytes]:
    """Return the local header, the packed content and the central record."""
    name = path.encode()
    method, packed = _pack(content)
    flags = 0 if path.isascii() else _UTF8_FLAG
    shared = (_VERSION, flags, method, _MIDNIGHT, _FIRST_OF_1980)
    sizes = (zlib.crc32(content), len(packed), len(content), len(name))
    mode = stat.S_IFREG | (0o755 if _LIBRARY.fullmatch(path) else 0o644)
    local = _LOCAL.pack(b"PK\x03\x04", *shared, *sizes, 0)
    tail = (0, 0, 0, 0, mode << 16, offset)
    central = _CENTRAL.pack(b"PK\x01\x02", _MADE_ON_UNIX, *shared, *sizes, *tail)
    return local + name, packed, central + name


def _pack(content: bytes) -> tuple[int, bytes]:
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = stream.compress(content) + stream.flush()
    is_bomb_like = len(content) > _LIMITS.ratio * len(packed)
    if len(packed) >= len(content) or is_bomb_like:
        return STORED, content
    return DEFLATED, packed
