"""The wheel that a build made, checked and packed anew, so that one source has one payload.

* A wheel is read by the same strict reader that a host uses; what it refuses is a problem of
  the project.
* Version, requirements and the rest are taken from the wheel's metadata, where every backend
  has filled them in, not from `pyproject.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import getaddresses
from pathlib import Path

from packaging.metadata import RawMetadata, parse_email
from packaging.version import InvalidVersion, Version

from cloacina_build.errors import InvalidProjectError
from cloacina_build.requirements import requirement_problems
from cloacina_signing.canonical_wheel import canonical_wheel
from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_reader import read_wheel

_EXTENSIONS = (".so", ".pyd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A wheel of a package: its file name, its canonical bytes, and what they unpack to."""

    filename: str
    raw: bytes
    files: Mapping[str, bytes]
    version: Version
    description: str
    authors: tuple[str, ...]
    requires_python: str


def read_payload(path: Path, modules: Iterable[str], directory: Path) -> Payload:
    """Read the wheel of a project that has to hold certain modules.

    Args:
        path: the wheel.
        modules: names of modules, dotted.
        directory: the project, for messages.

    Raises:
        InvalidProjectError: with every reason why it cannot be the payload of a package.
    """
    try:
        wheel = read_wheel(path.name, path.read_bytes())
        raw = canonical_wheel(wheel.files, wheel.dist_info)
    except WheelError as error:
        raise InvalidProjectError(
            directory, [f"its wheel: {one}" for one in error.problems]
        ) from error
    metadata, _ = parse_email(wheel.files[f"{wheel.dist_info}/METADATA"])
    requires_python = metadata.get("requires_python", "")
    problems = requirement_problems(metadata.get("requires_dist", []), requires_python)
    problems += _module_problems(wheel.files, wheel.top_level, modules)
    version = _read_version(metadata, problems)
    if problems or version is None:
        raise InvalidProjectError(directory, problems)
    return Payload(
        filename=path.name,
        raw=raw,
        files=wheel.files,
        version=version,
        description=metadata.get("summary", ""),
        authors=_authors(metadata),
        requires_python=requires_python,
    )


def unpack(files: Mapping[str, bytes], directory: Path) -> None:
    """Write the files of a checked wheel below an empty directory."""
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _module_problems(
    files: Mapping[str, bytes], top_level: Iterable[str], modules: Iterable[str]
) -> list[str]:
    missing = [module for module in modules if not _holds(files, module.replace(".", "/"))]
    listed = ", ".join(sorted(top_level)) or "no module at all"
    return [
        f"module {module!r} is not in its wheel, which has {listed}: mend modules in "
        "[tool.cloacina], or tell the build backend to include it"
        for module in missing
    ]


def _holds(files: Iterable[str], path: str) -> bool:
    return any(
        file == f"{path}.py"
        or file.startswith(f"{path}/")
        or (file.startswith(f"{path}.") and file.endswith(_EXTENSIONS))
        for file in files
    )


def _read_version(metadata: RawMetadata, problems: list[str]) -> Version | None:
    text = metadata.get("version", "")
    try:
        version = Version(text)
    except InvalidVersion:
        problems.append(f"its version is {text!r}, which is no version such as 1.0.2 (PEP 440)")
        return None
    if version.epoch:
        problems.append(f"its version {text} has an epoch, which a package cannot have")
    return version


def _authors(metadata: RawMetadata) -> tuple[str, ...]:
    names = [name.strip() for name in metadata.get("author", "").split(",")]
    pairs = getaddresses([metadata.get("author_email", "")])
    mailed = [f"{name} <{address}>" if name else address for name, address in pairs]
    return tuple(author for author in (*names, *mailed) if author)
