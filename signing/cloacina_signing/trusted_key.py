"""A public key and who owns it, as a trust file tells."""

from dataclasses import dataclass
from typing import Self

from cloacina_signing import strict_base64
from cloacina_signing.closed_object import MAX_TEXT_CHARS, ClosedObject
from cloacina_signing.ed25519_point import POINT_BYTES
from cloacina_signing.errors import TrustError, shown
from cloacina_signing.keys import PublicKey
from cloacina_signing.strict_json import JsonValue

TRUSTED_KEY_KEYS = ("public_key", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key and who owns it.

    Raises:
        TrustError: the owner is no printable text.
    """

    public: PublicKey
    owner: str

    def __post_init__(self) -> None:
        if not (self.owner.isprintable() and 1 <= len(self.owner) <= MAX_TEXT_CHARS):
            raise TrustError(f"{shown(self.owner)} is no name of a key's owner")

    @classmethod
    def from_object(cls, fields: ClosedObject) -> Self:
        """Read a key from a trust file's document.

        Raises:
            StrictJsonError: a member has the wrong type.
            KeyFileError: the bytes are no honest public key.
        """
        raw = fields.octets("public_key", low=POINT_BYTES, high=POINT_BYTES)
        return cls(public=PublicKey.from_raw(raw), owner=fields.text("owner"))

    def to_document(self) -> JsonValue:
        """Return the key as it stands in a trust file's document."""
        return {"public_key": strict_base64.encode(self.public.raw), "owner": self.owner}
