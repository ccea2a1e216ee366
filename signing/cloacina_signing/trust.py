"""The trust file: whose signatures are accepted for what, itself signed by root keys.

Rules:

* Nothing in the file counts before enough of the *pinned* root keys, which the caller keeps
  elsewhere, have signed it; and enough of the root keys that the file itself names must have signed
  it too. There is no trust on first use: without pinned roots nothing is read.
* The signatures are over the DSSE encoding of the canonical bytes of the document.
* A document has one form: reading and writing it gives the same bytes.
* A `TrustFile` that exists is consistent: every key that a grant names is in it, thresholds can be
  reached, patterns are unique.
* Every change is a new version, one higher; the file holds no history and no clock.

Source: the roles and thresholds of TUF (https://theupdateframework.github.io/specification/).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Self

from cloacina_signing import strict_base64, strict_json
from cloacina_signing.closed_object import ClosedObject
from cloacina_signing.dsse import TRUST_TYPE
from cloacina_signing.ed25519_point import POINT_BYTES
from cloacina_signing.errors import KeyFileError, SignatureError, StrictJsonError, TrustError, shown
from cloacina_signing.grants import GRANT_KEYS, Grant, Isolation, select_grant
from cloacina_signing.keys import PrivateKey, PublicKey
from cloacina_signing.signatures import SignatureSet
from cloacina_signing.strict_json import JsonValue
from cloacina_signing.trusted_key import TRUSTED_KEY_KEYS, TrustedKey

__all__ = ["Grant", "Isolation", "TrustFile", "TrustedKey", "initial", "signed"]

MAX_TRUST_BYTES = 1024 * 1024
MAX_VERSION = 2**53 - 1
MAX_KEYS = 4096
MAX_GRANTS = 4096
MAX_ROOTS = 16
_TYPE = "cloacina-trust"
_FORMAT = 1
_KEYS = ("type", "format", "version", "expires", "roots", "root_threshold", "keys", "grants")
_ROOT_KEYS = ("public_key",)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_ASK_ROOT = "have it signed again by the root key, or get the right file"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFile:
    """What is trusted; `keys` is by key id, `expires` is kept in UTC and cut to whole seconds.

    Raises:
        TrustError: the parts do not fit together.
    """

    version: int
    roots: tuple[PublicKey, ...]
    root_threshold: int = 1
    expires: datetime | None = None
    keys: Mapping[str, TrustedKey] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()

    def __post_init__(self) -> None:
        keys = MappingProxyType(dict(sorted(self.keys.items())))
        object.__setattr__(self, "keys", keys)
        grants = tuple(sorted(self.grants, key=lambda grant: grant.pattern))
        object.__setattr__(self, "grants", grants)
        _check_numbers(self)
        _check_references(self)
        if self.expires is not None:
            whole_seconds = self.expires.astimezone(UTC).replace(microsecond=0)
            object.__setattr__(self, "expires", whole_seconds)

    @classmethod
    def parse(
        cls, raw: bytes, roots: Mapping[str, PublicKey], *, pinned_threshold: int = 1
    ) -> "TrustFile":
        """Verify a signed trust file by pinned root keys, by id, then read it.

        At least `pinned_threshold` of the pinned roots must have signed it, and as many of its own
        roots as it demands itself.

        Raises:
            TrustError: it is malformed or not signed as it must be.
        """
        document, signatures = _open_envelope(raw)
        payload = strict_json.dumps(document)
        signers = signatures.verified_key_ids(payload, TRUST_TYPE, roots)
        if pinned_threshold < 1 or len(signers) < pinned_threshold:
            fact = f"signed by {len(signers)} of the pinned root keys, {pinned_threshold} needed"
            raise TrustError(fact, next_step=_ASK_ROOT)
        trust = _from_document(document)
        if strict_json.dumps(trust.to_document()) != payload:
            raise TrustError("the document is not in its one canonical form", next_step=_ASK_ROOT)
        own_roots = {root.key_id: root for root in trust.roots}
        signers = signatures.verified_key_ids(payload, TRUST_TYPE, own_roots)
        if len(signers) < trust.root_threshold:
            fact = f"signed by {len(signers)} of its own root keys, {trust.root_threshold} needed"
            raise TrustError(fact, next_step=_ASK_ROOT)
        return trust

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the file no longer counts at this aware instant."""
        return self.expires is not None and now >= self.expires

    def grant_for(self, name: str) -> Grant | None:
        """Return the grant that decides about packages of this name; None means refused.

        Raises:
            TrustError: two patterns match the name equally well.
        """
        return select_grant(self.grants, name)

    def granted_keys(self, grant: Grant) -> dict[str, PublicKey]:
        """Return the public keys, by id, whose signatures count for a grant of this file."""
        return {key_id: self.keys[key_id].public for key_id in grant.key_ids}

    def with_key(self, key: TrustedKey) -> Self:
        """Return the next version, which also knows this key; the same key takes its new owner.

        Raises:
            TrustError: there is no room for it.
        """
        return replace(self, version=self.version + 1, keys={**self.keys, key.public.key_id: key})

    def with_grant(self, grant: Grant, *, keys: Iterable[TrustedKey] = ()) -> Self:
        """Return the next version, which also has this grant and knows these keys.

        A grant of the very same pattern is replaced, whole.

        Raises:
            TrustError: the grant names a key that neither the file nor `keys` holds.
        """
        added = {key.public.key_id: key for key in keys}
        others = [other for other in self.grants if other.pattern != grant.pattern]
        return replace(
            self,
            version=self.version + 1,
            keys={**self.keys, **added},
            grants=(*others, grant),
        )

    def to_document(self) -> JsonValue:
        """Return the document that is signed."""
        return {
            "type": _TYPE,
            "format": _FORMAT,
            "version": self.version,
            "expires": None if self.expires is None else _spelled(self.expires),
            "roots": [{"public_key": strict_base64.encode(root.raw)} for root in self.roots],
            "root_threshold": self.root_threshold,
            "keys": [key.to_document() for key in self.keys.values()],
            "grants": [grant.to_document() for grant in self.grants],
        }


def initial(root: PrivateKey) -> TrustFile:
    """Return the first version: one root, no keys, nothing granted."""
    return TrustFile(version=1, roots=(root.public,))


def signed(trust: TrustFile, root_keys: Sequence[PrivateKey]) -> bytes:
    """Write a trust file signed by these keys.

    Raises:
        TrustError: fewer of the file's root keys sign than it demands, or a key is no root of it.
    """
    root_ids = {root.key_id for root in trust.roots}
    signers = {key.public.key_id for key in root_keys}
    if not signers <= root_ids:
        raise TrustError("a key that is no root of this file cannot sign it", next_step="leave it")
    if len(signers) < trust.root_threshold:
        fact = f"{len(signers)} root keys sign, {trust.root_threshold} are needed"
        raise TrustError(fact, next_step="give more root keys")
    document = trust.to_document()
    payload = strict_json.dumps(document)
    signatures = SignatureSet()
    for key in root_keys:
        signatures = signatures.with_signature(key, TRUST_TYPE, payload)
    return strict_json.dumps({"trust": document, "signatures": signatures.to_document()})


def _check_numbers(trust: TrustFile) -> None:
    if not 1 <= trust.version <= MAX_VERSION:
        raise TrustError(f"version {trust.version} is not from 1 to {MAX_VERSION}")
    root_ids = {root.key_id for root in trust.roots}
    if not 1 <= len(trust.roots) <= MAX_ROOTS or len(root_ids) != len(trust.roots):
        raise TrustError(f"there must be 1 to {MAX_ROOTS} distinct root keys")
    if not 1 <= trust.root_threshold <= len(trust.roots):
        fact = f"a threshold of {trust.root_threshold} over {len(trust.roots)} root keys"
        raise TrustError(fact, next_step="choose one that can be reached")
    if trust.expires is not None and trust.expires.utcoffset() is None:
        raise TrustError("it expires at an instant without time zone", next_step="give it in UTC")


def _check_references(trust: TrustFile) -> None:
    if len(trust.keys) > MAX_KEYS:
        raise TrustError(f"{len(trust.keys)} keys, at most {MAX_KEYS} fit")
    if any(key_id != key.public.key_id for key_id, key in trust.keys.items()):
        raise TrustError("a key stands under the id of another")
    patterns = [grant.pattern for grant in trust.grants]
    if len(set(patterns)) != len(patterns):
        raise TrustError("two grants have the same pattern", next_step="join them into one")
    for grant in trust.grants:
        unknown = [key_id for key_id in grant.key_ids if key_id not in trust.keys]
        if unknown:
            fact = f"the grant of {grant.pattern} names the unknown key {shown(unknown[0])}"
            raise TrustError(fact, next_step="add the key first")


def _open_envelope(raw: bytes) -> tuple[JsonValue, SignatureSet]:
    try:
        envelope = ClosedObject(
            strict_json.parse(raw, max_bytes=MAX_TRUST_BYTES), "$", ("trust", "signatures")
        )
        return envelope.value("trust"), SignatureSet.from_member(envelope, "signatures")
    except (StrictJsonError, SignatureError) as error:
        raise TrustError(str(error), next_step=_ASK_ROOT) from error


def _from_document(document: JsonValue) -> TrustFile:
    """Read a document that pinned roots have signed."""
    try:
        fields = ClosedObject(document, "$.trust", _KEYS)
        fields.require(type=_TYPE, format=_FORMAT)
        roots = fields.objects("roots", _ROOT_KEYS, max_items=MAX_ROOTS)
        keys = fields.objects("keys", TRUSTED_KEY_KEYS, max_items=MAX_KEYS)
        grants = fields.objects("grants", GRANT_KEYS, max_items=MAX_GRANTS)
        return TrustFile(
            version=fields.integer("version", 1, MAX_VERSION),
            expires=_instant(fields, "expires"),
            roots=tuple(_root(item) for item in roots),
            root_threshold=fields.integer("root_threshold", 1, MAX_ROOTS),
            keys=_by_id([TrustedKey.from_object(item) for item in keys]),
            grants=tuple(Grant.from_object(item) for item in grants),
        )
    except (StrictJsonError, KeyFileError) as error:
        raise TrustError(str(error), next_step=_ASK_ROOT) from error


def _root(fields: ClosedObject) -> PublicKey:
    return PublicKey.from_raw(fields.octets("public_key", low=POINT_BYTES, high=POINT_BYTES))


def _by_id(keys: Sequence[TrustedKey]) -> dict[str, TrustedKey]:
    found = {key.public.key_id: key for key in keys}
    if len(found) != len(keys):
        raise TrustError("a key stands in it twice", next_step=_ASK_ROOT)
    return found


def _spelled(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _instant(fields: ClosedObject, key: str) -> datetime | None:
    value = fields.value(key)
    if value is None:
        return None
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise fields.refusal(key, "null or an instant like 2030-01-31T12:00:00Z is expected here")
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise fields.refusal(key, f"{shown(value)} is no instant") from error
