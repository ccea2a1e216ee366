"""Inflating the members of a wheel within fixed limits.

Rules:

* A member is never inflated beyond its declared size by more than one byte, and the declared size
  is checked against every limit first: a bomb costs no memory.
* The compressed data ends where the member ends, the size is the declared one and the checksum
  is true.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from cloacina_signing.errors import shown
from cloacina_signing.wheel_zip import STORED, Member

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelLimits:
    """How much a wheel may unpack to; a loader of several wheels passes what is left."""

    unpacked_bytes: int = 512 * _MIB
    entries: int = 20_000
    file_bytes: int = 256 * _MIB
    ratio: int = 200


def inflate(members: Sequence[Member], limits: WheelLimits) -> tuple[dict[str, bytes], list[str]]:
    """Return the contents of all members and every problem; nothing unpacks over the limits."""
    files: dict[str, bytes] = {}
    problems: list[str] = []
    total = sum(member.size_bytes for member in members)
    if total > limits.unpacked_bytes:
        return {}, [f"it unpacks to {total} bytes, at most {limits.unpacked_bytes} are allowed"]
    for member in members:
        content = _inflate_one(member, limits)
        if isinstance(content, str):
            problems.append(f"{shown(member.name)} {content}")
        else:
            files[member.name] = content
    return files, problems


def _inflate_one(member: Member, limits: WheelLimits) -> bytes | str:
    """Return the content, or the sentence that says why there is none."""
    size = member.size_bytes
    if size > limits.file_bytes:
        return f"unpacks to {size} bytes, at most {limits.file_bytes} a file are allowed"
    if size > limits.ratio * max(1, len(member.content)):
        return f"unpacks to more than {limits.ratio} times its compressed size"
    content = bytes(member.content) if member.method == STORED else _deflated(member)
    if content is None:
        return "is not one deflate stream of the declared size"
    if zlib.crc32(content) != member.crc32:
        return "does not have the declared checksum"
    return content


def _deflated(member: Member) -> bytes | None:
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        content = stream.decompress(member.content, member.size_bytes + 1)
    except zlib.error:
        return None
    is_whole = stream.eof and not stream.unused_data and not stream.unconsumed_tail
    return content if is_whole and len(content) == member.size_bytes else None
