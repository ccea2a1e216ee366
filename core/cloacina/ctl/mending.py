"""The commands that would make a refused package accepted here: only those still needed.

They are meant to be typed as they are: file names are those of keys found beside the package or
in the current directory, or of the ones that the commands before them make.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloacina.ctl.settings import Settings
from cloacina.ctl.trust import DEFAULT_PUBLISHER
from cloacina.packages.refusal import Reason, Refusal
from cloacina.packages.verify import UnverifiedPackage
from cloacina_sdk.manifest import normalised_name
from cloacina_signing.errors import SigningError, TrustError
from cloacina_signing.keys import PublicKey
from cloacina_signing.trust import Grant, TrustFile

_MENDABLE = frozenset({Refusal.UNSIGNED, Refusal.UNTRUSTED})
_PUBLIC, _PRIVATE = ".pub.pem", ".key.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAtHand:
    """A key whose public half, and perhaps private one, is in a file that can be named."""

    key_id: str
    public: Path
    private: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What trust must come to hold: ``needed`` signatures by keys of a grant of ``pattern``."""

    pattern: str
    publisher: str | None
    granted: frozenset[str]
    needed: int


def mending_steps(
    path: Path,
    package: UnverifiedPackage,
    reasons: Sequence[Reason],
    trust: TrustFile | None,
    settings: Settings,
) -> list[str]:
    """Return the commands, in order; none if no command mends every reason."""
    wanted = _wanted(package, trust)
    if wanted is None or not {reason.code for reason in reasons} <= _MENDABLE:
        return []
    at_hand = list(keys_at_hand([Path(), path.parent]))
    signed_by = [entry.key_id for entry in package.unverified_signatures.entries]
    missing = wanted.needed - len(wanted.granted.intersection(signed_by))
    strangers = [key_id for key_id in signed_by if key_id not in wanted.granted][:missing]
    signing, new_keys = _more_signatures(
        missing - len(strangers), signed_by, at_hand, wanted, package
    )
    steps: list[str] = []
    for public, private in signing:
        if private in new_keys:
            steps.append(settings.command_line("key", "new", public.name.removesuffix(_PUBLIC)))
        steps.append(settings.command_line("sign", path, "--key", private))
    if trust is None:
        steps.append(settings.command_line("trust", "init"))
    steps += _introductions(strangers, at_hand, package, wanted, settings)
    granted_files = {key.public for key in at_hand if key.key_id in wanted.granted}
    for public, _ in signing:
        if public not in granted_files:
            steps.append(_trust_add(public, wanted, settings))
    return steps


def keys_at_hand(folders: Iterable[Path]) -> Iterator[KeyAtHand]:
    """Find the public keys in some folders, those with a private key beside them first."""
    found: dict[str, KeyAtHand] = {}
    for folder in folders:
        for public in sorted(folder.glob(f"*{_PUBLIC}")):
            try:
                key_id = PublicKey.from_pem(public.read_bytes()).key_id
            except (OSError, SigningError):
                continue  # some other file: nothing to suggest
            private = public.with_name(public.name.removesuffix(_PUBLIC) + _PRIVATE)
            has_private = _names_key(private, key_id)
            key = KeyAtHand(key_id=key_id, public=public, private=private if has_private else None)
            if key_id not in found or (has_private and found[key_id].private is None):
                found[key_id] = key
    yield from sorted(found.values(), key=lambda key: key.private is None)


def _names_key(path: Path, key_id: str) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("key_id") == key_id


def _wanted(package: UnverifiedPackage, trust: TrustFile | None) -> _Wanted | None:
    """Say what has to be granted; ``None`` where the name is granted to somebody else."""
    manifest = package.unverified_manifest
    grant = _decisive_grant(trust, manifest.name)
    if grant is not None and grant.publisher == manifest.publisher:
        return _Wanted(
            pattern=grant.pattern,
            publisher=None,
            granted=frozenset(grant.key_ids),
            needed=max(grant.threshold, manifest.min_signatures),
        )
    if grant is not None and grant.pattern == normalised_name(manifest.name):
        return None
    return _Wanted(
        pattern=manifest.name,
        publisher=None if manifest.publisher == DEFAULT_PUBLISHER else manifest.publisher,
        granted=frozenset(),
        needed=manifest.min_signatures,
    )


def _decisive_grant(trust: TrustFile | None, name: str) -> Grant | None:
    try:
        return None if trust is None else trust.grant_for(name)
    except TrustError:
        return None  # two patterns are equally long: one for the very name decides


def _more_signatures(
    count: int,
    signed_by: Sequence[str],
    at_hand: Sequence[KeyAtHand],
    wanted: _Wanted,
    package: UnverifiedPackage,
) -> tuple[list[tuple[Path, Path]], set[Path]]:
    """Choose ``count`` keys to sign with (public, private), and say which have to be made."""
    free = [key for key in at_hand if key.private is not None and key.key_id not in signed_by]
    free.sort(key=lambda key: key.key_id not in wanted.granted)
    chosen = [(key.public, key.private) for key in free[:count] if key.private is not None]
    made: set[Path] = set()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", package.unverified_manifest.publisher).strip("-")
    number = 1
    while len(chosen) < count:
        name = f"{stem or 'author'}{'' if number == 1 else f'-{number}'}"
        public, private = Path(f"{name}{_PUBLIC}"), Path(f"{name}{_PRIVATE}")
        if not public.exists() and not private.exists():
            chosen.append((public, private))
            made.add(private)
        number += 1
    return chosen, made


def _introductions(
    strangers: Sequence[str],
    at_hand: Sequence[KeyAtHand],
    package: UnverifiedPackage,
    wanted: _Wanted,
    settings: Settings,
) -> Iterator[str]:
    """Trust keys that signed already, as far as it is known where their public halves are."""
    files = {key.key_id: key.public for key in at_hand}
    publisher = ascii(package.unverified_manifest.publisher)
    for key_id in strangers:
        if key_id not in files:
            yield f"# get the public key {key_id} from {publisher} in a way you trust, as theirs.pub.pem"
        yield _trust_add(files.get(key_id, Path("theirs.pub.pem")), wanted, settings)


def _trust_add(public: Path, wanted: _Wanted, settings: Settings) -> str:
    extra = [] if wanted.publisher is None else ["--publisher", wanted.publisher]
    return settings.command_line("trust", "add", public, "--grant", wanted.pattern, *extra)
