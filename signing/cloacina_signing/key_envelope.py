"""The sealed form of a private key: a JSON envelope, and how it is opened.

Rules:

* The secret is encrypted by AES-256-GCM under a key that scrypt derives from the passphrase. All
  the rest of the envelope is the associated data, so that no field can be changed unseen.
* The parameters of scrypt are capped on reading: an envelope cannot exhaust the reader's memory.
* An envelope without encryption exists only where the caller said ``insecure_plaintext=True``.
* The id of the key is in the envelope and must be that of the secret inside.

Source: RFC 7914 (scrypt), NIST SP 800-38D (GCM).
"""

import os
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cloacina_signing import strict_base64, strict_json
from cloacina_signing.closed_object import ClosedObject
from cloacina_signing.errors import KeyFileError, StrictJsonError, WrongPassphraseError
from cloacina_signing.keys import SEED_BYTES, PrivateKey
from cloacina_signing.strict_json import JsonValue

MAX_ENVELOPE_BYTES = 16 * 1024
_TYPE = "cloacina-private-key"
_FORMAT = 1
_ALGORITHM = "ed25519"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32
_MAX_N = 2**20
_MAX_R = 16
_MAX_P = 4
_MAX_MEMORY_BYTES = 512 * 1024 * 1024
_HEADER_KEYS = ("type", "format", "name", "algorithm", "key_id", "protection")
_PROTECTION_KEYS = ("kdf", "n", "r", "p", "salt", "cipher", "nonce")
_UNPROTECTED: JsonValue = {"kdf": "none"}
_SUBJECT = "key file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptCost:
    """The cost of one try at a passphrase: 128 * n * r bytes of memory, p times.

    Raises:
        KeyFileError: the parameters are not ones that a reader accepts.
    """

    n: int = 2**17
    r: int = 8
    p: int = 1

    def __post_init__(self) -> None:
        is_power_of_two = self.n > 1 and self.n & (self.n - 1) == 0
        is_bounded = self.n <= _MAX_N and 1 <= self.r <= _MAX_R and 1 <= self.p <= _MAX_P
        if not (is_power_of_two and is_bounded and 128 * self.n * self.r <= _MAX_MEMORY_BYTES):
            fact = f"scrypt with N={self.n}, r={self.r}, p={self.p} is out of bounds"
            raise KeyFileError(_SUBJECT, fact, next_step="make the key file anew")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Protection:
    """How the secret is encrypted."""

    cost: ScryptCost
    salt: bytes
    nonce: bytes

    @classmethod
    def fresh(cls, cost: ScryptCost) -> Self:
        """Draw a new salt and nonce."""
        return cls(cost=cost, salt=os.urandom(_SALT_BYTES), nonce=os.urandom(_NONCE_BYTES))

    @classmethod
    def parse(cls, value: JsonValue, path: str) -> Self:
        """Read the protection of an envelope."""
        fields = ClosedObject(value, path, _PROTECTION_KEYS)
        fields.require(kdf="scrypt", cipher="aes-256-gcm")
        return cls(
            cost=ScryptCost(
                n=fields.integer("n", 2, _MAX_N),
                r=fields.integer("r", 1, _MAX_R),
                p=fields.integer("p", 1, _MAX_P),
            ),
            salt=fields.octets("salt", low=_SALT_BYTES, high=64),
            nonce=fields.octets("nonce", low=_NONCE_BYTES, high=_NONCE_BYTES),
        )

    def to_document(self) -> JsonValue:
        """Write the protection for an envelope."""
        return {
            "kdf": "scrypt",
            "n": self.cost.n,
            "r": self.cost.r,
            "p": self.cost.p,
            "salt": strict_base64.encode(self.salt),
            "cipher": "aes-256-gcm",
            "nonce": strict_base64.encode(self.nonce),
        }

    def cipher(self, passphrase: bytes) -> AESGCM:
        """Derive the key, which takes long on purpose, and return the cipher under it."""
        cost = self.cost
        kdf = Scrypt(salt=self.salt, length=_KEY_BYTES, n=cost.n, r=cost.r, p=cost.p)
        return AESGCM(kdf.derive(passphrase))


def seal(
    private: PrivateKey,
    passphrase: bytes | None,
    *,
    insecure_plaintext: bool = False,
    cost: ScryptCost | None = None,
) -> bytes:
    """Write the envelope of a private key.

    Raises:
        KeyFileError: there is neither a passphrase nor the explicit wish to go without one, or
            there are both.
    """
    if bool(passphrase) == insecure_plaintext:
        fact = "a key is sealed either by a passphrase or, explicitly, by none"
        raise KeyFileError(_SUBJECT, fact, next_step="give one of the two")
    seed = private.secret_seed()
    if not passphrase:
        return _envelope(_header(private, _UNPROTECTED), seed)
    protection = _Protection.fresh(cost or ScryptCost())
    header = _header(private, protection.to_document())
    cipher = protection.cipher(passphrase)
    return _envelope(header, cipher.encrypt(protection.nonce, seed, strict_json.dumps(header)))


def open_envelope(raw: bytes, passphrase: bytes | None) -> PrivateKey:
    """Open an envelope; a passphrase is used only where there is something to decrypt.

    Raises:
        WrongPassphraseError: the passphrase is missing or wrong, or the envelope was altered.
        KeyFileError: the envelope is malformed, or its secret is not the key that it names.
    """
    try:
        fields = _read(raw)
        name, key_id = fields.text("name"), fields.text("key_id")
        seed = _secret(fields, passphrase)
    except StrictJsonError as error:
        raise KeyFileError(_SUBJECT, str(error)) from error
    private = PrivateKey(name, seed)
    if private.public.key_id != key_id:
        raise KeyFileError(_SUBJECT, "the secret inside belongs to another key than it names")
    return private


def is_plaintext(raw: bytes) -> bool:
    """Tell whether anybody who can read this envelope has the key.

    Raises:
        KeyFileError: the envelope is malformed.
    """
    try:
        return _read(raw).value("protection") == _UNPROTECTED
    except StrictJsonError as error:
        raise KeyFileError(_SUBJECT, str(error)) from error


def _header(private: PrivateKey, protection: JsonValue) -> dict[str, JsonValue]:
    return {
        "type": _TYPE,
        "format": _FORMAT,
        "name": private.name,
        "algorithm": _ALGORITHM,
        "key_id": private.public.key_id,
        "protection": protection,
    }


def _envelope(header: dict[str, JsonValue], secret: bytes) -> bytes:
    return strict_json.dumps({**header, "secret": strict_base64.encode(secret)})


def _read(raw: bytes) -> ClosedObject:
    document = strict_json.parse(raw, max_bytes=MAX_ENVELOPE_BYTES, max_depth=4)
    fields = ClosedObject(document, "$", (*_HEADER_KEYS, "secret"))
    fields.require(type=_TYPE, format=_FORMAT, algorithm=_ALGORITHM)
    return fields


def _secret(fields: ClosedObject, passphrase: bytes | None) -> bytes:
    if fields.value("protection") == _UNPROTECTED:
        return fields.octets("secret", low=SEED_BYTES, high=SEED_BYTES)
    protection = _Protection.parse(fields.value("protection"), fields.path("protection"))
    sealed_bytes = SEED_BYTES + _TAG_BYTES
    sealed = fields.octets("secret", low=sealed_bytes, high=sealed_bytes)
    if not passphrase:
        raise WrongPassphraseError(_SUBJECT, "it is encrypted", next_step="give its passphrase")
    header = strict_json.dumps({key: fields.value(key) for key in _HEADER_KEYS})
    try:
        return protection.cipher(passphrase).decrypt(protection.nonce, sealed, header)
    except InvalidTag as error:
        fact = "the passphrase is wrong or the file was altered"
        raise WrongPassphraseError(_SUBJECT, fact, next_step="try again") from error
