"""Sets of signatures: the content of ``signatures.json`` and of a detached ``<file>.sig``.

Rules:

* A set names keys and carries signatures, no algorithm and no public key: these come from whoever
  verifies, never from the file.
* Key ids are unique and sorted, base64 is strict, the count is capped.
* What cannot be checked is not verified: an unknown key contributes nothing.
* The signed bytes are the DSSE encoding of the payload and its type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from cloacina_signing import strict_base64, strict_json
from cloacina_signing.closed_object import ClosedObject
from cloacina_signing.dsse import pre_authentication_encoding
from cloacina_signing.errors import SignatureError, StrictJsonError, shown
from cloacina_signing.keys import SIGNATURE_BYTES, PrivateKey, PublicKey, is_key_id
from cloacina_signing.strict_json import JsonValue

MAX_SIGNATURES = 64
MAX_SET_BYTES = 64 * 1024
_TYPE = "cloacina-signatures"
_FORMAT = 1
_ENTRY_KEYS = ("key_id", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature, by the id of the key that is said to have made it; not verified."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignatureSet:
    """Signatures by distinct keys, sorted by key id; none of them verified.

    Raises:
        SignatureError: an entry is malformed, or they are too many, not sorted or not distinct.
    """

    entries: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        if len(self.entries) > MAX_SIGNATURES:
            raise SignatureError(f"{len(self.entries)} of them, at most {MAX_SIGNATURES} fit")
        for entry in self.entries:
            if not is_key_id(entry.key_id):
                raise SignatureError(f"{shown(entry.key_id)} is no key id")
            if len(entry.signature) != SIGNATURE_BYTES:
                raise SignatureError(f"that of {entry.key_id} is not {SIGNATURE_BYTES} bytes long")
        if any(one.key_id >= other.key_id for one, other in pairwise(self.entries)):
            raise SignatureError("the key ids are not sorted or not distinct")

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a file of signatures.

        Raises:
            SignatureError: the file is malformed.
        """
        try:
            document = strict_json.parse(raw, max_bytes=MAX_SET_BYTES, max_depth=4)
            fields = ClosedObject(document, "$", ("type", "format", "signatures"))
            fields.require(type=_TYPE, format=_FORMAT)
        except StrictJsonError as error:
            raise SignatureError(str(error)) from error
        return cls.from_member(fields, "signatures")

    @classmethod
    def from_member(cls, fields: ClosedObject, key: str) -> Self:
        """Read the array of signatures that is a member of some document.

        Raises:
            SignatureError: the array is malformed.
        """
        try:
            items = fields.objects(key, _ENTRY_KEYS, max_items=MAX_SIGNATURES)
            entries = tuple(_entry(item) for item in items)
        except StrictJsonError as error:
            raise SignatureError(str(error)) from error
        return cls(entries)

    def to_bytes(self) -> bytes:
        """Write the file of these signatures."""
        return strict_json.dumps(
            {"type": _TYPE, "format": _FORMAT, "signatures": self.to_document()}
        )

    def to_document(self) -> list[JsonValue]:
        """Return the array of these signatures as JSON."""
        return [
            {"key_id": entry.key_id, "signature": strict_base64.encode(entry.signature)}
            for entry in self.entries
        ]

    def with_signature(self, key: PrivateKey, payload_type: str, payload: bytes) -> Self:
        """Return this set with the payload signed by this key; its earlier signature is replaced.

        Raises:
            SignatureError: the set is full.
        """
        key_id = key.public.key_id
        message = pre_authentication_encoding(payload_type, payload)
        made = Signature(key_id=key_id, signature=key.sign(message))
        others = [entry for entry in self.entries if entry.key_id != key_id]
        return type(self)(tuple(sorted([*others, made], key=lambda entry: entry.key_id)))

    def verified_key_ids(
        self, payload: bytes, payload_type: str, keys: Mapping[str, PublicKey]
    ) -> frozenset[str]:
        """Return the ids of those of the given keys, by id, that did sign this payload."""
        message = pre_authentication_encoding(payload_type, payload)
        return frozenset(
            entry.key_id
            for entry in self.entries
            if (key := keys.get(entry.key_id)) is not None
            and key.key_id == entry.key_id
            and key.verify(entry.signature, message)
        )


def _entry(fields: ClosedObject) -> Signature:
    return Signature(
        key_id=fields.text("key_id"),
        signature=fields.octets("signature", low=SIGNATURE_BYTES, high=SIGNATURE_BYTES),
    )
