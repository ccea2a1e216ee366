"""Private keys in PEM as OpenSSL writes them: PKCS#8, plain or encrypted.

Rules:

* Only Ed25519 keys, only the labels ``PRIVATE KEY`` and ``ENCRYPTED PRIVATE KEY``, one block.
* The cost that an encrypted file demands (iterations, memory) is read and capped before any key is
  derived, so that a file cannot keep the reader busy.

Source: RFC 5958 (PKCS#8), RFC 7468 (textual form), RFC 8018 (PBES2), RFC 7914 (scrypt).
"""

import math
import re
from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cloacina_signing import strict_base64
from cloacina_signing.errors import KeyFileError, WrongPassphraseError

_BLOCK = re.compile(
    rb"\s*-----BEGIN (?P<label>PRIVATE KEY|ENCRYPTED PRIVATE KEY)-----"
    rb"(?P<body>[A-Za-z0-9+/=\s]+)-----END (?P=label)-----\s*"
)
# The product of all numbers among the parameters: iterations and key length for PBKDF2,
# N, r, p and key length for scrypt. OpenSSL's own defaults are below 2**24.
_MAX_COST = 2**28
_SEQUENCE_OR_SET = 0x20
_INTEGER = 0x02
_LONG_FORM = 0x80
_MAX_LENGTH_BYTES = 3
_SUBJECT = "private key"


def is_pem(raw: bytes) -> bool:
    """Tell whether this looks like PEM rather than like a sealed key of our own."""
    return raw.lstrip().startswith(b"-----BEGIN ")


def is_encrypted(raw: bytes) -> bool:
    """Tell whether the block is an encrypted one.

    Raises:
        KeyFileError: this is not one block of PKCS#8.
    """
    return _block(raw)["label"] == b"ENCRYPTED PRIVATE KEY"


def read_seed(raw: bytes, passphrase: bytes | None) -> bytes:
    """Return the 32 secret bytes; a passphrase is used only for an encrypted block.

    Raises:
        WrongPassphraseError: the passphrase is missing or wrong.
        KeyFileError: this is not PKCS#8 of an Ed25519 key, or opening it costs too much.
    """
    if not is_encrypted(raw):
        return _load(raw, None)
    if not passphrase:
        raise WrongPassphraseError(_SUBJECT, "it is encrypted", next_step="give its passphrase")
    _check_cost(raw)
    return _load(raw, passphrase)


def _block(raw: bytes) -> re.Match[bytes]:
    match = _BLOCK.fullmatch(raw)
    if match is None:
        raise KeyFileError(_SUBJECT, "not one PEM block of PKCS#8")
    return match


def _load(raw: bytes, passphrase: bytes | None) -> bytes:
    try:
        key = load_pem_private_key(raw, passphrase)
    except (ValueError, TypeError) as error:
        if passphrase is None:
            raise KeyFileError(_SUBJECT, "its PKCS#8 cannot be read") from error
        fact = "the passphrase is wrong or the file was altered"
        raise WrongPassphraseError(_SUBJECT, fact, next_step="try again") from error
    except UnsupportedAlgorithm as error:
        raise KeyFileError(_SUBJECT, "it is encrypted in a way that is not read") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(_SUBJECT, f"{type(key).__name__}, not an Ed25519 key")
    return key.private_bytes_raw()


def _check_cost(raw: bytes) -> None:
    body = b"".join(_block(raw)["body"].split()).decode("ascii")
    der = strict_base64.decode(body)
    numbers = list(_integers(der)) if der is not None else []
    if not numbers:
        raise KeyFileError(_SUBJECT, "its encryption parameters cannot be read")
    if min(numbers) < 1 or math.prod(numbers) > _MAX_COST:
        raise KeyFileError(_SUBJECT, f"its key derivation has parameters {numbers[:6]}, too costly")


def _integers(der: bytes) -> Iterator[int]:
    """Yield every INTEGER in a DER structure, without recursion."""
    pending = [der]
    while pending:
        rest = pending.pop()
        while rest:
            tag, content, rest = _element(rest)
            if tag & _SEQUENCE_OR_SET:
                pending.append(content)
            elif tag == _INTEGER:
                yield int.from_bytes(content, "big", signed=True)


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Split off the first element: its tag, its content, and what follows."""
    header, length = 2, der[1] if len(der) > 1 else _LONG_FORM
    if length & _LONG_FORM:
        length_bytes = length & ~_LONG_FORM
        header += length_bytes
        length = int.from_bytes(der[2:header], "big")
        if not 1 <= length_bytes <= _MAX_LENGTH_BYTES:
            raise KeyFileError(_SUBJECT, "its DER cannot be read")
    if header + length > len(der):
        raise KeyFileError(_SUBJECT, "its DER is cut short")
    return der[0], der[header : header + length], der[header + length :]
