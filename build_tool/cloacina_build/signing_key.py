"""Opening the key that signs a package.

A passphrase comes from a file, never from the command line, where every user of the machine
could read it; or it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloacina_build.errors import SigningKeyError
from cloacina_signing.errors import KeyFileError, WrongPassphraseError
from cloacina_signing.key_file import read_key_file
from cloacina_signing.keys import PrivateKey

_LONGEST_PASSPHRASE = 4096


def open_signing_key(
    path: Path, passphrase_file: Path | None, ask: Callable[[], str] | None
) -> PrivateKey:
    """Open the key in a file.

    Args:
        path: a `NAME.key.json`, or a key that OpenSSL wrote.
        passphrase_file: holds the passphrase; a newline at its end does not count.
        ask: asks a person for the passphrase, where no file is given and one is needed; None
            where nobody can be asked.

    Raises:
        SigningKeyError: if the key does not open.
    """
    try:
        if passphrase_file is not None:
            return read_key_file(path, _read_passphrase(passphrase_file))
        try:
            return read_key_file(path, None)
        except WrongPassphraseError:
            if ask is None:
                raise
            return read_key_file(path, ask().encode())
    except KeyFileError as error:
        raise SigningKeyError(
            f"{error.subject}: {error.fact}",
            next_step=error.next_step or "make a key: cloacina-ctl key new NAME",
        ) from error


def _read_passphrase(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST_PASSPHRASE + 1)
    except OSError as error:
        raise SigningKeyError(f"passphrase file {path} cannot be read: {error.strerror}") from error
    if len(raw) > _LONGEST_PASSPHRASE:
        raise SigningKeyError(f"passphrase file {path} is longer than {_LONGEST_PASSPHRASE} bytes")
    return raw.removesuffix(b"\n").removesuffix(b"\r")
