"""Ed25519 keys, the only kind there is.

Rules:

* A `PublicKey` that exists is an honest one: canonical, on the curve, not of small order.
* The id of a key is the whole SHA-256 of its DER SubjectPublicKeyInfo (RFC 8410), in hex.
* A private key is never shown: not by `repr`, not in an error.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from cloacina_signing import strict_base64
from cloacina_signing.ed25519_point import point_problem
from cloacina_signing.errors import KeyFileError, shown

SIGNATURE_BYTES = 64
SEED_BYTES = 32
_MAX_PEM_BYTES = 64 * 1024
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_KEY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key by its 32 raw bytes.

    Raises:
        KeyFileError: the bytes are no honest public key.
    """

    raw: bytes

    def __post_init__(self) -> None:
        problem = point_problem(self.raw)
        if problem is not None:
            raise KeyFileError("public key", problem, next_step="ask its owner for a new key")

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Take the 32 bytes of RFC 8032.

        Raises:
            KeyFileError: the bytes are no honest public key.
        """
        return cls(bytes(raw))

    @classmethod
    def from_pem(cls, raw: bytes) -> Self:
        """Read one PEM block ``PUBLIC KEY``, as OpenSSL writes it.

        Raises:
            KeyFileError: it is not exactly one such block, no Ed25519 key, or no honest one.
        """
        if len(raw) > _MAX_PEM_BYTES or raw.count(b"-----BEGIN ") != 1:
            raise _no_public_key("not exactly one PEM block")
        try:
            key = load_pem_public_key(raw)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_public_key("not a PEM block PUBLIC KEY that can be read") from error
        if not isinstance(key, Ed25519PublicKey):
            raise _no_public_key(f"{type(key).__name__}, not an Ed25519 key")
        return cls(key.public_bytes_raw())

    @property
    def key_id(self) -> str:
        """The SHA-256 of the DER form, 64 hex digits."""
        return hashlib.sha256(_SPKI_PREFIX + self.raw).hexdigest()

    def to_pem(self) -> bytes:
        """Write the PEM block that OpenSSL writes for this key."""
        body = strict_base64.encode(_SPKI_PREFIX + self.raw)
        return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether this is a signature of this key over this message."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A private key and the name its owner gave it; thread-safe, immutable."""

    __slots__ = ("_key", "_name")

    def __init__(self, name: str, seed: bytes) -> None:
        if not _KEY_NAME.fullmatch(name):
            fact = f"the name {shown(name)} is not made of letters, digits and . _ @ + -"
            raise KeyFileError("private key", fact, next_step="choose another name")
        if len(seed) != SEED_BYTES:
            raise KeyFileError("private key", f"its seed does not have {SEED_BYTES} bytes")
        self._name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a new key from the system's randomness.

        Raises:
            KeyFileError: the name cannot be part of a file name.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def name(self) -> str:
        """The name, fit to be part of a file name."""
        return self._name

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the deterministic signature over a message."""
        return self._key.sign(message)

    def secret_seed(self) -> bytes:
        """Return the 32 secret bytes, for sealing them in a key file and for nothing else."""
        return self._key.private_bytes_raw()

    def __repr__(self) -> str:
        return f"PrivateKey(name={self._name!r}, key_id={self.public.key_id!r})"


def is_key_id(text: str) -> bool:
    """Tell whether this is spelled like the id of a key."""
    return _KEY_ID.fullmatch(text) is not None


def _no_public_key(fact: str) -> KeyFileError:
    return KeyFileError("public key", fact, next_step="pass the .pub.pem file of an Ed25519 key")
