"""Run a project from its directory: built to memory, signed by this home's development key.

The key is kept unencrypted, so nothing may trust it: it is in no trust file. What it signed is
accepted in the one call that built it, for that package's very name.
"""

from dataclasses import dataclass
from pathlib import Path

import click

from cloacina.ctl.build_tool import require_build_tool
from cloacina.packages.home import Home
from cloacina_signing.errors import KeyFileError
from cloacina_signing.key_file import read_key_file, seal, write_private
from cloacina_signing.keys import PrivateKey
from cloacina_signing.trust import Grant, TrustedKey, TrustFile, initial

_NAME = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPackage:
    """A package built here just now, and the trust in it alone."""

    raw: bytes
    trust: TrustFile


def build_for_development(directory: Path, home: Home) -> DevelopmentPackage:
    """Build a project and sign it with the development key of ``home``, made if it is missing.

    Raises:
        Failure: if the build tool is not installed.
        KeyFileError: if the development key cannot be used.
        cloacina_build.BuildError: if the project cannot become a package.
    """
    require_build_tool(f"building the directory {directory}")
    from cloacina_build.package import build_package  # noqa: PLC0415 - need not be installed

    key = development_key(home)
    built = build_package(directory, sign_with=key)
    grant = Grant(
        pattern=built.manifest.name,
        publisher=built.manifest.publisher,
        key_ids=(key.public.key_id,),
    )
    trusted = TrustedKey(public=key.public, owner=_NAME)
    click.echo(
        f"built {directory} ({built.digest}) and signed it with the development key of "
        f"{home.path}, which is trusted with it for this run only",
        err=True,
    )
    return DevelopmentPackage(raw=built.raw, trust=initial(key).with_grant(grant, keys=[trusted]))


def development_key(home: Home) -> PrivateKey:
    """Return this home's development key, making it first if there is none.

    Raises:
        KeyFileError: if it cannot be used.
    """
    path = home.keys / f"{_NAME}.key.json"
    if not path.exists():
        home.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = PrivateKey.generate(_NAME)
        try:
            write_private(path, seal(made, None, insecure_plaintext=True))
        except KeyFileError:
            if not path.exists():  # else another process made it just now
                raise
    return read_key_file(path, None)
