"""Where passphrases come from: a file, ``$CLOACINA_PASSPHRASE_FILE``, or a question on the terminal.

Never from an argument or an environment variable itself: other users could read it there.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from cloacina_signing.keys import PrivateKey

_VARIABLE = "CLOACINA_PASSPHRASE_FILE"
_Command = TypeVar("_Command", bound=Callable[..., object])

passphrase_file_option = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar=_VARIABLE,
    show_envvar=True,
    help="A file that holds the passphrase; a newline at its end does not count.",
)


def new_passphrase_options(command: _Command) -> _Command:
    """Add the options of a command that makes a private key."""
    insecure = click.option(
        "--insecure-no-passphrase",
        "is_insecure",
        is_flag=True,
        help="Write the key unencrypted; whoever reads the file has the key.",
    )
    return insecure(passphrase_file_option(command))


def new_passphrase(ctx: click.Context, file: Path | None, *, is_insecure: bool) -> bytes | None:
    """Return the passphrase for a new key; ``None`` where it is to have none.

    Raises:
        click.UsageError: if there is no file to read it from and nobody to ask.
    """
    if is_insecure:
        source = ctx.get_parameter_source("passphrase_file")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("give --passphrase-file or --insecure-no-passphrase, not both")
        return None
    if file is not None:
        return _read(file)
    _require_terminal("--passphrase-file FILE, or --insecure-no-passphrase for a key without one")
    return _ask("New passphrase", is_repeated=True)


def open_private_key(path: Path, passphrase_file: Path | None) -> "PrivateKey":
    """Open a private key, asking for its passphrase only if it has one and no file gives it.

    Raises:
        KeyFileError: if the file holds no key that can be used.
        WrongPassphraseError: if the passphrase does not open it.
        click.UsageError: if a passphrase is needed and there is nobody to ask.
    """
    from cloacina_signing.errors import WrongPassphraseError  # noqa: PLC0415
    from cloacina_signing.key_file import read_key_file  # noqa: PLC0415 - brings cryptography

    if passphrase_file is not None:
        return read_key_file(path, _read(passphrase_file))
    try:
        return read_key_file(path, None)
    except WrongPassphraseError:
        _require_terminal("--passphrase-file FILE")
    return read_key_file(path, _ask(f"Passphrase of {path}"))


def _read(path: Path) -> bytes:
    from cloacina_signing.key_file import read_passphrase_file  # noqa: PLC0415 - as above

    return read_passphrase_file(path)


def _require_terminal(instead: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"a passphrase is needed and this is no terminal to ask on; give {instead}"
        )


def _ask(question: str, *, is_repeated: bool = False) -> bytes:
    answer: str = click.prompt(question, hide_input=True, confirmation_prompt=is_repeated, err=True)
    return answer.encode()
