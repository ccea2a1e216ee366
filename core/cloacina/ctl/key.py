"""``cloacina-ctl key``: make keys to sign packages with."""

from pathlib import Path

import click

from cloacina.ctl.passphrase import new_passphrase, new_passphrase_options
from cloacina.ctl.settings import Settings, pass_settings
from cloacina_signing.errors import KeyFileError
from cloacina_signing.key_file import seal, write_private
from cloacina_signing.keys import PrivateKey


@click.group()
def key() -> None:
    """Make keys to sign packages with."""


@key.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The directory to write to, made if it is missing.  [default: here]",
)
@new_passphrase_options
@pass_settings
@click.pass_context
def new(
    ctx: click.Context,
    settings: Settings,
    *,
    name: str,
    directory: Path,
    passphrase_file: Path | None,
    is_insecure: bool,
) -> None:
    """Make a key: NAME.key.json, to be kept secret, and NAME.pub.pem, to be given away.

    Nothing is written over.
    """
    private = PrivateKey.generate(name)
    key_path, public_path = directory / f"{name}.key.json", directory / f"{name}.pub.pem"
    refuse_existing(key_path, public_path)
    passphrase = new_passphrase(ctx, passphrase_file, is_insecure=is_insecure)
    directory.mkdir(parents=True, exist_ok=True)
    write_key_pair(private, key_path, public_path, passphrase)
    click.echo(f"{key_path}  the private key: keep it to yourself")
    click.echo(f"{public_path}  the public key, id {private.public.key_id}")
    click.echo("Next, sign a package with it:")
    click.echo(f"  {settings.command_line('sign', 'FILE', '--key', key_path)}")


def refuse_existing(*paths: Path) -> None:
    """Do nothing if none of the files exists.

    Raises:
        KeyFileError: naming the first that does.
    """
    for path in paths:
        if path.exists():
            raise KeyFileError(
                f"file {path}",
                "it exists already and is not written over",
                next_step="choose another name, or move it away",
            )


def write_key_pair(
    private: PrivateKey, key_path: Path, public_path: Path, passphrase: bytes | None
) -> None:
    """Write both halves of a key to new files; without passphrase the private one is plain.

    Raises:
        KeyFileError: if the private one exists or cannot be written.
        OSError: if the public one exists or cannot be written.
    """
    sealed = seal(private, passphrase, insecure_plaintext=passphrase is None)
    write_private(key_path, sealed)
    with public_path.open("xb") as file:
        file.write(private.public.to_pem())
