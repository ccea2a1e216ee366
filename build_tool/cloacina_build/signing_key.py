"""Opening the key that signs a package.

A passphrase comes from a file, never from the command line, where every user of the machine
could read it; or it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloacina_build.errors import SigningKeyError
from cloacina_signing.errors import KeyFileError, WrongPassphraseError
from cloacina_signing.key_file import read_key_file, read_passphrase_file
from cloacina_signing.keys import PrivateKey


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
            return read_key_file(path, read_passphrase_file(passphrase_file))
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
