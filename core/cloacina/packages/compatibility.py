"""Whether a package fits this host: its requirements, and which of its wheels a worker can load."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from cloacina.packages.refusal import Reason, Refusal
from cloacina_sdk.manifest import Manifest
from cloacina_signing.archive import Archive
from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_reader import Wheel, read_wheel

_PAYLOAD: Final = "payload/"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What a package must be compatible with.

    Attributes:
        host_version: of cloacina, PEP 440.
        python_version: of the interpreter that runs workers, such as ``3.11.7``.
        tags: the wheel tags that it can load, best first.
    """

    host_version: str
    python_version: str
    tags: Sequence[Tag]


def host_reasons(manifest: Manifest, host: HostFacts) -> list[Reason]:
    """Return why this host cannot run a package, whatever its wheels."""
    reasons = [
        *_version_reasons("cloacina", manifest.requires_host, host.host_version),
        *_version_reasons("Python", manifest.requires_python, host.python_version),
    ]
    try:
        if Version(manifest.version).epoch:
            reasons.append(Reason(Refusal.FORMAT, f"version {manifest.version!r} has an epoch"))
    except InvalidVersion:
        reasons.append(Reason(Refusal.FORMAT, f"version {manifest.version!r} is not PEP 440"))
    if manifest.isolation == "hardened":
        fact = "it asks for the isolation 'hardened', which this host cannot give"
        reasons.append(Reason(Refusal.INCOMPATIBLE, fact))
    if manifest.dependencies:
        names = ", ".join(needed.name for needed in manifest.dependencies)
        fact = f"it needs other packages ({names}), which this host cannot provide"
        reasons.append(Reason(Refusal.INCOMPATIBLE, fact))
    return reasons


def _version_reasons(what: str, specifier: str, version: str) -> Iterator[Reason]:
    try:
        if not SpecifierSet(specifier).contains(version, prereleases=True):
            fact = f"it needs {what} {specifier}, this is {version}"
            yield Reason(Refusal.INCOMPATIBLE, fact)
    except InvalidSpecifier:
        yield Reason(Refusal.FORMAT, f"{specifier!r} is not a version specifier for {what}")


def choose_wheels(archive: Archive, host: HostFacts) -> tuple[tuple[Wheel, ...], list[Reason]]:
    """Read the wheel that fits this host best; without one, the reasons say so."""
    payloads = [name for name in archive.entries if name.startswith(_PAYLOAD)]
    offered, reasons = _tags_of(payloads)
    best = min(((rank, name) for rank, name in _ranked(offered, host.tags)), default=(None, None))[
        1
    ]
    if best is None:
        platforms = ", ".join(sorted(name.removeprefix(_PAYLOAD) for name in offered)) or "none"
        fact = f"none of its wheels fits this platform ({platforms})"
        return (), [*reasons, Reason(Refusal.INCOMPATIBLE, fact)]
    try:
        wheel = read_wheel(best.removeprefix(_PAYLOAD), archive.entries[best])
    except WheelError as error:
        return (), [*reasons, *(Reason(Refusal.FORMAT, f"{best}: {p}") for p in error.problems)]
    return (wheel,), reasons


def _tags_of(payloads: Sequence[str]) -> tuple[dict[str, frozenset[Tag]], list[Reason]]:
    offered: dict[str, frozenset[Tag]] = {}
    reasons: list[Reason] = []
    for name in payloads:
        if name.startswith(f"{_PAYLOAD}vendor/"):
            fact = f"{name!r} is a vendored dependency, which this host cannot load"
            reasons.append(Reason(Refusal.INCOMPATIBLE, fact))
            continue
        try:
            offered[name] = parse_wheel_filename(name.removeprefix(_PAYLOAD))[3]
        except InvalidWheelFilename as error:
            reasons.append(Reason(Refusal.FORMAT, f"{name!r} is not named as a wheel: {error}"))
    return offered, reasons


def _ranked(
    offered: Mapping[str, frozenset[Tag]], supported: Sequence[Tag]
) -> Iterator[tuple[int, str]]:
    ranks = {tag: rank for rank, tag in reversed(list(enumerate(supported)))}
    for name, tags in offered.items():
        fitting = [ranks[tag] for tag in tags if tag in ranks]
        if fitting:
            yield min(fitting), name
