"""Reading a wheel strictly: what it holds is what it lists, and nothing runs by being there.

A wheel is accepted only when its ZIP can be read in one way (`wheel_zip`), unpacks within the
limits (`wheel_inflate`), holds only allowed files (`wheel_paths`), lists every file with its true
hash (`wheel_record`) and agrees with its own file name (`wheel_metadata`).

Rules: every problem that can still be seen is reported, not only the first; only a ZIP whose
structure is broken, or that breaks the limits, is not looked into further.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_inflate import WheelLimits, inflate
from cloacina_signing.wheel_metadata import metadata_problems
from cloacina_signing.wheel_name import WheelName, normalised, parse_wheel_name, same_version
from cloacina_signing.wheel_paths import content_problems, path_problems, top_level_names
from cloacina_signing.wheel_record import record_problems
from cloacina_signing.wheel_zip import read_members

__all__ = ["MAX_WHEEL_BYTES", "Wheel", "WheelLimits", "read_wheel"]

MAX_WHEEL_BYTES = 512 * 1024 * 1024
_DIST_INFO = ".dist-info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A checked wheel; `files` are the unpacked contents by path, in the order of the wheel.

    `dist_info` is the name of its metadata directory, which is one of the paths' first segments
    and none of the `top_level` names.
    """

    distribution: str
    version: str
    tags: frozenset[str]
    dist_info: str
    files: Mapping[str, bytes]
    top_level: frozenset[str]


def read_wheel(
    filename: str, raw: bytes | memoryview, *, limits: WheelLimits | None = None
) -> Wheel:
    """Unpack a wheel in memory and check every rule.

    Raises:
        WheelError: with every problem that was found.
    """
    limits = limits or WheelLimits()
    name = parse_wheel_name(filename)
    files = _unpack(filename, raw, limits)
    dist_info, problems = _find_dist_info(files, name)
    problems += content_problems(files, dist_info)
    problems += record_problems(files, f"{dist_info}/RECORD")
    problems += metadata_problems(files, dist_info, name)
    if problems:
        raise WheelError(filename, problems)
    return Wheel(
        distribution=name.distribution,
        version=name.version,
        tags=name.tags,
        dist_info=dist_info,
        files=MappingProxyType(files),
        top_level=top_level_names(files),
    )


def _unpack(filename: str, raw: bytes | memoryview, limits: WheelLimits) -> dict[str, bytes]:
    if len(raw) > MAX_WHEEL_BYTES:
        fact = f"it is {len(raw)} bytes long, at most {MAX_WHEEL_BYTES} are read"
        raise WheelError(filename, [fact])
    members, problems = read_members(memoryview(raw), limits.entries)
    problems += path_problems(member.name for member in members)
    if problems:
        raise WheelError(filename, problems)
    files, problems = inflate(members, limits)
    if problems:
        raise WheelError(filename, problems)
    return files


def _find_dist_info(files: Mapping[str, bytes], name: WheelName) -> tuple[str, list[str]]:
    expected = f"{name.distribution}-{name.version}{_DIST_INFO}"
    tops = {path.partition("/")[0] for path in files if "/" in path}
    found = sorted(top for top in tops if _is_dist_info_of(top, name))
    if len(found) == 1:
        return found[0], []
    return expected, [f"it does not have one directory {expected}"]


def _is_dist_info_of(top: str, name: WheelName) -> bool:
    distribution, dash, version = top.removesuffix(_DIST_INFO).partition("-")
    return (
        top.endswith(_DIST_INFO)
        and bool(dash)
        and normalised(distribution) == normalised(name.distribution)
        and same_version(version, name.version)
    )
