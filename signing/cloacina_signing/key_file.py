"""Private keys at rest.

Rules:

* A key is written as the sealed envelope of `key_envelope`; PKCS#8 in PEM, as OpenSSL writes it, is
  read too.
* A private file is created with mode 0600 and never over an existing one.
* An unencrypted key that others may read is refused, not used.

Modes are checked where the system has them; on Windows the access lists of the folder decide.
"""

import os
import stat
import sys
from pathlib import Path

from cloacina_signing import pkcs8
from cloacina_signing.errors import KeyFileError, shown
from cloacina_signing.key_envelope import (
    MAX_ENVELOPE_BYTES,
    ScryptCost,
    is_plaintext,
    open_envelope,
    seal,
)
from cloacina_signing.keys import PrivateKey

__all__ = ["ScryptCost", "open_key", "read_key_file", "seal", "write_private"]

_LONGEST_PASSPHRASE_BYTES = 4096
_PUBLIC = b"-----BEGIN PUBLIC KEY-----"
_PRIVATE_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def open_key(raw: bytes, passphrase: bytes | None, *, name: str = "imported") -> PrivateKey:
    """Open a sealed key or a PEM block of PKCS#8, which takes the given name for want of its own.

    A passphrase is used only where there is something to decrypt.

    Raises:
        WrongPassphraseError: the passphrase is missing or wrong, or the file was altered.
        KeyFileError: this is no private key that can be used.
    """
    if pkcs8.is_pem(raw):
        return PrivateKey(name, pkcs8.read_seed(raw, passphrase))
    return open_envelope(raw, passphrase)


def read_key_file(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Open the private key in a file; a PEM key takes the file's name up to its first dot.

    Raises:
        WrongPassphraseError: the passphrase is missing or wrong, or the file was altered.
        KeyFileError: there is no such file, others may read the unencrypted key in it, or it holds
            no private key that can be used.
    """
    raw, mode = _read(path)
    if raw.lstrip().startswith(_PUBLIC):
        half = path.name.removesuffix(".pub.pem")
        step = f"name the private half, such as {half}.key.json"
        raise KeyFileError(_subject(path), "it holds a public key", next_step=step)
    is_open = not pkcs8.is_encrypted(raw) if pkcs8.is_pem(raw) else is_plaintext(raw)
    if is_open and sys.platform != "win32" and mode & _OTHERS:
        fact = f"it is not encrypted and its mode {mode:04o} lets others at it"
        raise KeyFileError(_subject(path), fact, next_step=f"chmod 600 {path}")
    return open_key(raw, passphrase, name=path.name.partition(".")[0])


def read_passphrase_file(path: Path) -> bytes:
    """Return the passphrase in a file; a newline at its end does not count.

    Raises:
        KeyFileError: the file cannot be read, is empty or has more than 4,096 bytes.
    """
    subject = f"passphrase file {shown(str(path))}"
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST_PASSPHRASE_BYTES + 1)
    except OSError as error:
        fact = f"cannot be read: {error.strerror}"
        raise KeyFileError(subject, fact, next_step="check its path") from error
    if len(raw) > _LONGEST_PASSPHRASE_BYTES:
        fact = f"it is longer than {_LONGEST_PASSPHRASE_BYTES} bytes"
        raise KeyFileError(subject, fact, next_step="check that it is the right file")
    passphrase = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not passphrase:
        raise KeyFileError(subject, "it is empty", next_step="write the passphrase in it")
    return passphrase


def write_private(path: Path, raw: bytes) -> None:
    """Write a new file that only its owner can read, and flush it to the disk.

    Raises:
        KeyFileError: the file exists already, or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    try:
        descriptor = os.open(path, flags, _PRIVATE_MODE)
    except FileExistsError as error:
        fact = "it exists already and is not written over"
        raise KeyFileError(_subject(path), fact, next_step="choose another name") from error
    except OSError as error:
        raise KeyFileError(_subject(path), f"cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            if sys.platform != "win32":
                os.fchmod(file.fileno(), _PRIVATE_MODE)  # the mask may have taken more away
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileError(_subject(path), f"cannot be written: {error.strerror}") from error


def _read(path: Path) -> tuple[bytes, int]:
    """Return the content and the mode of one and the same opened file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(_subject(path), f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise KeyFileError(_subject(path), f"longer than {MAX_ENVELOPE_BYTES} bytes: no key file")
    return raw, mode


def _subject(path: Path) -> str:
    return f"key file {shown(str(path))}"
