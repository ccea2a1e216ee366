"""The pure verifier: bytes, trust and facts about the host in; a verified package or reasons out.

The order, each step on the very bytes that the last one saw:

    cap of size -> canonical rebuild -> signatures over the raw manifest -> strict parse
    -> digests of all entries -> trust, expiry -> compatibility with this host

* Every reason is collected as far as the format allows to look.
* A ``VerifiedPackage`` can be made here alone, holds the bytes that were verified, and is the only
  thing that can be loaded.
* Nothing of a package is executed, and no file, clock or environment is read.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cloacina.packages.compatibility import HostFacts, choose_wheels, host_reasons
from cloacina.packages.refusal import PackageRefusedError, Reason, Refusal
from cloacina_sdk.errors import InvalidManifestError
from cloacina_sdk.manifest import Manifest
from cloacina_signing.archive import Archive, package_digest, read_archive
from cloacina_signing.dsse import MANIFEST_TYPE
from cloacina_signing.errors import (
    NonCanonicalArchiveError,
    SignatureError,
    TrustError,
)
from cloacina_signing.signatures import SignatureSet
from cloacina_signing.trust import TrustFile
from cloacina_signing.wheel_reader import Wheel

_SEAL: Final = object()
_GIVEN_ISOLATION: Final = "process"
"""What every package gets here, also one that would be content with less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPackage:
    """A package that passed every step, and the bytes that did. Made by ``verify`` alone."""

    archive: Archive
    manifest: Manifest
    digest: str
    wheels: tuple[Wheel, ...]
    """What a worker on this host loads."""
    signers: frozenset[str]
    """Ids of the trusted keys that signed; empty only where unsigned packages are allowed."""
    seal: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("a VerifiedPackage comes from verify() and from nowhere else")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedPackage:
    """A package that was only parsed: for showing, never for loading."""

    archive: Archive
    unverified_manifest: Manifest
    digest: str
    unverified_signatures: SignatureSet


def inspect(raw: bytes) -> UnverifiedPackage:
    """Parse a package to show what it says of itself. No signature is checked.

    Raises:
        PackageRefusedError: if it is malformed.
    """
    archive = _read_archive(raw)
    manifest, problems = _read_manifest(archive)
    signatures, signature_problems = _read_signatures(archive)
    reasons = [*problems, *signature_problems]
    if manifest is None or reasons:
        raise PackageRefusedError(reasons)
    return UnverifiedPackage(
        archive=archive,
        unverified_manifest=manifest,
        digest=package_digest(archive.manifest),
        unverified_signatures=signatures,
    )


def verify(
    raw: bytes,
    *,
    trust: TrustFile | None,
    host: HostFacts,
    now: datetime,
    allow_unsigned: bool = False,
) -> VerifiedPackage:
    """Check a package in every respect.

    Args:
        raw: the whole file.
        trust: whom to trust; ``None`` trusts nobody.
        host: what it must be compatible with.
        now: an aware instant, against which expiry is checked.
        allow_unsigned: accept a package that carries no signature at all; one that carries
            signatures must pass like any other.

    Raises:
        PackageRefusedError: with every reason.
    """
    archive = _read_archive(raw)
    signatures, reasons = _read_signatures(archive)
    is_exempt = allow_unsigned and archive.signatures is None
    signers, doubts = _signers(archive, signatures, trust)
    if not is_exempt:
        reasons += doubts
    manifest, problems = _read_manifest(archive)
    reasons += problems
    if manifest is None:
        raise PackageRefusedError(reasons)
    reasons += _digest_reasons(archive, manifest)
    if not is_exempt:
        reasons += _trust_reasons(manifest, trust, signers, now, is_signed=not doubts)
    reasons += _expiry_reasons(manifest, now)
    reasons += host_reasons(manifest, host)
    wheels, wheel_reasons = choose_wheels(archive, host)
    reasons += wheel_reasons
    if reasons:
        raise PackageRefusedError(reasons)
    return VerifiedPackage(
        archive=archive,
        manifest=manifest,
        digest=package_digest(archive.manifest),
        wheels=wheels,
        signers=signers,
        seal=_SEAL,
    )


def _read_archive(raw: bytes) -> Archive:
    try:
        return read_archive(raw)
    except NonCanonicalArchiveError as error:
        raise PackageRefusedError([Reason(Refusal.FORMAT, str(error))]) from error


def _read_signatures(archive: Archive) -> tuple[SignatureSet, list[Reason]]:
    raw = archive.signatures
    if raw is None:
        return SignatureSet(), []
    try:
        return SignatureSet.parse(raw), []
    except SignatureError as error:
        return SignatureSet(), [Reason(Refusal.FORMAT, str(error))]


def _read_manifest(archive: Archive) -> tuple[Manifest | None, list[Reason]]:
    try:
        return Manifest.parse(archive.manifest), []
    except InvalidManifestError as error:
        return None, [Reason(Refusal.FORMAT, f"manifest.json: {p}") for p in error.problems]


def _signers(
    archive: Archive, signatures: SignatureSet, trust: TrustFile | None
) -> tuple[frozenset[str], list[Reason]]:
    """Return the trusted keys that signed, and what is wrong with the signatures as such."""
    if archive.signatures is None:
        return frozenset(), [Reason(Refusal.UNSIGNED, "it is not signed")]
    keys = {} if trust is None else {key_id: key.public for key_id, key in trust.keys.items()}
    signers = signatures.verified_key_ids(archive.manifest, MANIFEST_TYPE, keys)
    return signers, [
        Reason(Refusal.SIGNATURE, f"the signature by key {entry.key_id} is not valid")
        for entry in signatures.entries
        if entry.key_id in keys and entry.key_id not in signers
    ]


def _digest_reasons(archive: Archive, manifest: Manifest) -> list[Reason]:
    listed = {entry.name: entry for entry in manifest.entries}
    present = [n for n in archive.entries if n not in {"manifest.json", "signatures.json"}]
    found: list[str] = [f"entry {n!r} is not in the manifest" for n in present if n not in listed]
    for name, entry in listed.items():
        content = archive.entries.get(name)
        if content is None:
            found.append(f"entry {name!r} of the manifest is missing")
        elif len(content) != entry.size_bytes:
            size = f"{len(content)} bytes, the manifest says {entry.size_bytes}"
            found.append(f"entry {name!r} has {size}")
        elif hashlib.sha256(content).hexdigest() != entry.sha256:
            found.append(f"entry {name!r} does not have the sha256 of the manifest")
    return [Reason(Refusal.FORMAT, message) for message in found]


def _trust_reasons(
    manifest: Manifest,
    trust: TrustFile | None,
    signers: frozenset[str],
    now: datetime,
    *,
    is_signed: bool,
) -> list[Reason]:
    if trust is None:
        return [Reason(Refusal.UNTRUSTED, "nobody is trusted here: there is no trust file")]
    if trust.is_expired(now):
        return [Reason(Refusal.EXPIRED, f"the trust file expired at {trust.expires}")]
    try:
        grant = trust.grant_for(manifest.name)
    except TrustError as error:
        return [Reason(Refusal.UNTRUSTED, str(error))]
    if grant is None:
        fact = f"no grant of the trust file covers the package name {manifest.name!r}"
        return [Reason(Refusal.UNTRUSTED, fact)]
    found: list[str] = []
    if manifest.publisher != grant.publisher:
        found.append(
            f"its publisher is {manifest.publisher!r}, the grant for {grant.pattern!r} "
            f"is to {grant.publisher!r}"
        )
    if not grant.accepts(_GIVEN_ISOLATION):
        found.append(
            f"the grant for {grant.pattern!r} accepts nothing less isolated than "
            f"{grant.isolation.value!r}, which this host cannot give"
        )
    needed = max(grant.threshold, manifest.min_signatures)
    counted = len(signers & set(grant.key_ids))
    if is_signed and counted < needed:
        found.append(
            f"signed by {counted} of the keys granted for {grant.pattern!r}, {needed} needed"
        )
    return [Reason(Refusal.UNTRUSTED, fact) for fact in found]


def _expiry_reasons(manifest: Manifest, now: datetime) -> list[Reason]:
    if manifest.expires is None or now < datetime.fromisoformat(manifest.expires):
        return []
    return [Reason(Refusal.EXPIRED, f"the package expired at {manifest.expires}")]
