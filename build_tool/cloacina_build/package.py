"""From a project to the bytes of a package: copy, build, check, describe, write, sign.

The same source gives the same bytes on every machine with the same build tools and compiler;
nothing of the machine, the moment or the user is in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cloacina_build.build_environment import build_environment
from cloacina_build.described import workflows_in
from cloacina_build.errors import InvalidProjectError
from cloacina_build.payload import Payload, read_payload
from cloacina_build.project import Project, read_project
from cloacina_build.release import release_of
from cloacina_build.source_copy import copy_source
from cloacina_build.source_time import rfc3339, source_time_s
from cloacina_build.wheel_build import build_wheel
from cloacina_sdk.errors import InvalidManifestError
from cloacina_sdk.manifest import EntryRecord, Manifest
from cloacina_signing.archive import MANIFEST, SIGNATURES, package_digest, write_archive
from cloacina_signing.errors import NonCanonicalArchiveError

if TYPE_CHECKING:
    from cloacina_signing.keys import PrivateKey

REQUIRES_HOST = ">=0.1"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPackage:
    """A package: the bytes of its file, its manifest and its identity, `sha256:<hex>`."""

    raw: bytes
    manifest: Manifest
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All of a package but its file."""

    manifest: Manifest
    payload: Payload


def prepare(directory: Path, *, say: Say | None = None) -> Prepared:
    """Build a project's wheel and describe what it offers; nothing is written.

    Args:
        directory: the project.
        say: told what is being done, line by line.

    Raises:
        BuildError: if the project cannot become a package, with the reasons.
    """
    say = say or _say_nothing
    project = read_project(directory)
    seconds = source_time_s(directory, os.environ)
    say(f"building {project.name} as of {rfc3339(seconds)}")
    payload = _build(project, seconds, say)
    say(f"importing {', '.join(project.settings.modules)} in a worker")
    return Prepared(manifest=_manifest(project, payload, seconds), payload=payload)


def build_package(
    directory: Path, *, sign_with: PrivateKey | None = None, say: Say | None = None
) -> BuiltPackage:
    """Build a project into a package, signed if a key is given.

    Args:
        directory: the project.
        sign_with: the key.
        say: told what is being done, line by line.

    Raises:
        BuildError: if the project cannot become a package, with the reasons.
    """
    prepared = prepare(directory, say=say)
    raw_manifest = prepared.manifest.to_bytes()
    entries = [(MANIFEST, raw_manifest), (_entry_name(prepared.payload), prepared.payload.raw)]
    if sign_with is not None:
        entries.append((SIGNATURES, _signatures(sign_with, raw_manifest)))
    try:
        raw = write_archive(entries)
    except NonCanonicalArchiveError as error:
        raise InvalidProjectError(directory, [str(error)]) from error
    digest = package_digest(raw_manifest)
    return BuiltPackage(raw=raw, manifest=prepared.manifest, digest=digest)


def _build(project: Project, seconds: int, say: Say) -> Payload:
    with TemporaryDirectory(prefix="cloacina-build-") as scratch:
        root = Path(scratch).resolve()
        source, output = root / "project", root / "wheels"
        copy_source(project.directory, source)
        output.mkdir()
        environment = build_environment(os.environ, root, seconds)
        wheel = build_wheel(source, output, environment, say)
        return read_payload(wheel, project.settings.modules, project.directory)


def _manifest(project: Project, payload: Payload, seconds: int) -> Manifest:
    settings = project.settings
    entry = EntryRecord(
        name=_entry_name(payload),
        size_bytes=len(payload.raw),
        sha256=sha256(payload.raw).hexdigest(),
    )
    release = settings.release
    manifest = Manifest(
        name=settings.package,
        version=str(payload.version),
        release=release_of(payload.version) if release is None else release,
        publisher=settings.publisher,
        description=payload.description,
        authors=payload.authors,
        created=rfc3339(seconds),
        requires_host=REQUIRES_HOST,
        requires_python=payload.requires_python,
        entries=(entry,),
        isolation=settings.isolation,
        capabilities=settings.capabilities,
        modules=settings.modules,
        workflows=workflows_in(payload, settings, project.directory),
    )
    try:
        return Manifest.parse(manifest.to_bytes())
    except InvalidManifestError as error:
        problems = [f"its manifest: {problem}" for problem in error.problems]
        raise InvalidProjectError(project.directory, problems) from error


def _entry_name(payload: Payload) -> str:
    return f"payload/{payload.filename}"


def _signatures(key: PrivateKey, raw_manifest: bytes) -> bytes:
    # Loading cryptography takes longer than all the rest of an import.
    from cloacina_signing.dsse import MANIFEST_TYPE  # noqa: PLC0415 - needed to sign only
    from cloacina_signing.signatures import SignatureSet  # noqa: PLC0415 - needed to sign only

    return SignatureSet().with_signature(key, MANIFEST_TYPE, raw_manifest).to_bytes()


def _say_nothing(_line: str) -> None:
    """Throw a line away."""
