"""``cloacina-ctl sign``: sign a package, inside the file or beside it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.package_file import detached_path, read_detached, signatures_inside
from cloacina.ctl.passphrase import open_private_key, passphrase_file_option
from cloacina.ctl.replacing import replace_file
from cloacina.packages.host import this_host
from cloacina.packages.loader import read_package
from cloacina.packages.refusal import PackageRefusedError, Refusal
from cloacina.packages.verify import UnverifiedPackage, inspect, verify
from cloacina_signing.archive import with_signatures
from cloacina_signing.dsse import MANIFEST_TYPE


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A private key: NAME.key.json, or PKCS#8 as OpenSSL writes it.",
)
@click.option("--detached", is_flag=True, help="Write FILE.sig and leave FILE as it is.")
@passphrase_file_option
def sign(*, file: Path, key_path: Path, detached: bool, passphrase_file: Path | None) -> None:
    """Sign a package.

    The signature joins those that are there; one by the same key is replaced.
    """
    package = _well_formed(read_package(file))
    present = read_detached(file) if detached else signatures_inside(package.archive)
    private = open_private_key(key_path, passphrase_file)
    signatures = present.with_signature(private, MANIFEST_TYPE, package.archive.manifest)
    target = detached_path(file) if detached else file
    raw = signatures.to_bytes()
    replace_file(target, raw if detached else with_signatures(package.archive, raw))
    manifest = package.unverified_manifest
    click.echo(f"signed {escaped(manifest.name)} {escaped(manifest.version)}, {package.digest}")
    click.echo(f"by key {private.public.key_id}, in {target}")


def _well_formed(raw: bytes) -> UnverifiedPackage:
    """Return a package that can be verified once somebody trusts its signature.

    Raises:
        PackageRefusedError: if its form is wrong, its entries' digests included.
    """
    try:
        verify(raw, trust=None, host=this_host(), now=datetime.now(UTC))
    except PackageRefusedError as error:
        wrong = [reason for reason in error.reasons if reason.code is Refusal.FORMAT]
        if wrong:
            raise PackageRefusedError(wrong) from error
    return inspect(raw)
