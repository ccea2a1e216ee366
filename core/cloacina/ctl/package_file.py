"""Read a package file together with the signatures that lie beside it in ``<file>.sig``.

Signatures do not change a package's identity, so the two sets are joined into one archive, which
is then verified like any other. Of two signatures by one key the one inside counts: what lies
beside a file may be left over from an earlier build of the same name.
"""

from pathlib import Path

from cloacina.packages.loader import read_package
from cloacina.packages.refusal import PackageRefusedError, Reason, Refusal
from cloacina_signing.archive import Archive, read_archive, with_signatures
from cloacina_signing.errors import NonCanonicalArchiveError, SignatureError
from cloacina_signing.signatures import MAX_SET_BYTES, SignatureSet


def detached_path(path: Path) -> Path:
    """Return where the detached signatures of a package file lie."""
    return path.with_name(f"{path.name}.sig")


def read_signed(path: Path) -> bytes:
    """Return a package file's bytes, with its detached signatures put inside.

    Raises:
        PackageRefusedError: if it is too large, or its detached signatures are malformed.
        OSError: if it cannot be read.
    """
    raw = read_package(path)
    detached = read_detached(path)
    if not detached.entries:
        return raw
    try:
        archive = read_archive(raw)
        inside = signatures_inside(archive)
    except (NonCanonicalArchiveError, SignatureError):
        return raw  # whoever verifies it says what is wrong
    return with_signatures(archive, _joined(inside, detached).to_bytes())


def read_detached(path: Path) -> SignatureSet:
    """Return the detached signatures of a package file, none if there is no such file.

    Raises:
        PackageRefusedError: if they are malformed.
        OSError: if they cannot be read.
    """
    beside = detached_path(path)
    try:
        with beside.open("rb") as file:
            raw = file.read(MAX_SET_BYTES + 1)
    except FileNotFoundError:
        return SignatureSet()
    try:
        return SignatureSet.parse(raw)
    except SignatureError as error:
        raise PackageRefusedError([Reason(Refusal.FORMAT, f"{beside}: {error}")]) from error


def signatures_inside(archive: Archive) -> SignatureSet:
    """Return the signatures that a package carries.

    Raises:
        SignatureError: if they are malformed.
    """
    raw = archive.signatures
    return SignatureSet() if raw is None else SignatureSet.parse(raw)


def _joined(first: SignatureSet, second: SignatureSet) -> SignatureSet:
    by_key = {entry.key_id: entry for entry in (*second.entries, *first.entries)}
    return SignatureSet(tuple(by_key[key_id] for key_id in sorted(by_key)))
