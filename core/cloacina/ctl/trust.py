"""``cloacina-ctl trust``: say whose packages may run here."""

from pathlib import Path

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.exit_codes import UNTRUSTED, USAGE
from cloacina.ctl.failure import Failure
from cloacina.ctl.key import write_key_pair
from cloacina.ctl.output import write_json
from cloacina.ctl.passphrase import (
    new_passphrase,
    new_passphrase_options,
    open_private_key,
    passphrase_file_option,
)
from cloacina.ctl.replacing import replace_file
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.packages.home import Home
from cloacina_signing.keys import PrivateKey, PublicKey
from cloacina_signing.trust import Grant, Isolation, TrustedKey, TrustFile, initial, signed

DEFAULT_PUBLISHER = "local"
"""Whom a new grant is to, unless the command says; also what the build tool puts into a package."""


@click.group()
def trust() -> None:
    """Say whose packages may run here."""


@trust.command()
@new_passphrase_options
@pass_settings
@click.pass_context
def init(
    ctx: click.Context, settings: Settings, *, passphrase_file: Path | None, is_insecure: bool
) -> None:
    """Make this home's root key and an empty trust file signed by it."""
    home = settings.home
    root_path = root_key_of(home)
    _refuse_existing(settings, home.trust_file, root_path, home.root_file)
    passphrase = new_passphrase(ctx, passphrase_file, is_insecure=is_insecure)
    settings.home_made().keys.mkdir(mode=0o700, exist_ok=True)
    root = PrivateKey.generate("root")
    write_key_pair(root, root_path, home.root_file, passphrase)
    replace_file(home.trust_file, signed(initial(root), [root]))
    click.echo(f"{home.trust_file}  nobody is trusted yet")
    click.echo(f"{root_path}  the root key: keep it to yourself")
    click.echo(f"root fingerprint {root.public.key_id}")
    click.echo("Next, trust a key with packages of a name:")
    click.echo(f"  {settings.command_line('trust', 'add', 'NAME.pub.pem', '--grant', 'PACKAGE')}")


@trust.command()
@click.argument("public_key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--grant", "pattern", required=True, help="A package name, with * for any run of characters."
)
@click.option(
    "--publisher",
    help="The publisher that the packages must name.  "
    f"[default: the existing grant's, or {DEFAULT_PUBLISHER}]",
)
@click.option(
    "--threshold", type=click.IntRange(min=1), help="How many distinct keys must have signed."
)
@click.option(
    "--allow-inprocess",
    is_flag=True,
    help="Accept packages that ask to run inside the host's own process.",
)
@passphrase_file_option
@pass_settings
def add(
    settings: Settings,
    *,
    public_key: Path,
    pattern: str,
    publisher: str | None,
    threshold: int | None,
    allow_inprocess: bool,
    passphrase_file: Path | None,
) -> None:
    """Accept packages signed by a key: PUBLIC_KEY is a NAME.pub.pem file.

    An existing grant of the same pattern takes the key in addition to its own.
    """
    home = settings.home
    public = PublicKey.from_pem(public_key.read_bytes())
    trusted = TrustedKey(public=public, owner=public_key.name.partition(".")[0])
    _load(settings)  # before anybody is asked for a passphrase
    root = open_private_key(root_key_of(home), passphrase_file)
    before = _load(settings)
    wanted = Grant(
        pattern=pattern,
        publisher=publisher or DEFAULT_PUBLISHER,
        key_ids=(public.key_id,),
        isolation=Isolation.INPROCESS if allow_inprocess else Isolation.PROCESS,
    )
    grant = _widened(_existing(before, wanted), wanted, publisher, threshold)
    after = before.with_grant(grant, keys=[trusted])
    replace_file(home.trust_file, signed(after, [root]))
    click.echo(_described(grant, after))


@trust.command()
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
@pass_settings
def show(settings: Settings, *, is_json: bool) -> None:
    """Show who is trusted here with what."""
    found = _load(settings)
    if is_json:
        write_json(_document(found))
        return
    click.echo(f"trust file version {found.version}, expires {found.expires or 'never'}")
    for root in found.roots:
        click.echo(f"root {root.key_id}")
    for key in found.keys.values():
        click.echo(f"key  {key.public.key_id}  {escaped(key.owner)}")
    for grant in found.grants:
        click.echo(_described(grant, found))
    if not found.grants:
        click.echo("nothing is granted: no package is accepted")


def root_key_of(home: Home) -> Path:
    """Return where a home keeps its private root key."""
    return home.keys / "root.key.json"


def _refuse_existing(settings: Settings, *paths: Path) -> None:
    found = [path.name for path in paths if path.exists()]
    if not found:
        return
    if len(found) == len(paths):
        fact, step = "was made before", "Go on with what there is:"
    else:
        fact, step = "is there in part", "Put back what is missing; if nothing is lost, look at it:"
    raise Failure(
        f"the trust of {settings.home.path} {fact}: {', '.join(found)}; nothing was changed",
        steps=[
            step,
            f"  {settings.command_line('trust', 'show')}",
            f"  {settings.command_line('trust', 'add', 'NAME.pub.pem', '--grant', 'PACKAGE')}",
            "To begin anew, which forgets whom was trusted, move these files away first.",
        ],
        exit_code=USAGE,
    )


def _load(settings: Settings) -> TrustFile:
    found = settings.home.trust()
    if found is None:
        raise Failure(
            f"there is no trust file in {settings.home.path}; make one first:",
            steps=[settings.command_line("trust", "init")],
            exit_code=UNTRUSTED,
        )
    return found


def _existing(trust_file: TrustFile, wanted: Grant) -> Grant | None:
    same = (grant for grant in trust_file.grants if grant.pattern == wanted.pattern)
    return next(same, None)


def _widened(
    existing: Grant | None, wanted: Grant, publisher: str | None, threshold: int | None
) -> Grant:
    """Join a wanted grant with the one there is; what was said explicitly wins."""
    base = existing or wanted
    allows_inprocess = Isolation.INPROCESS in {base.isolation, wanted.isolation}
    return Grant(
        pattern=wanted.pattern,
        publisher=publisher or base.publisher,
        key_ids=(*base.key_ids, *wanted.key_ids),
        threshold=threshold or base.threshold,
        isolation=Isolation.INPROCESS if allows_inprocess else base.isolation,
    )


def _described(grant: Grant, trust_file: TrustFile) -> str:
    owners = ", ".join(
        f"{escaped(trust_file.keys[key_id].owner)} ({key_id[:16]})" for key_id in grant.key_ids
    )
    return (
        f"granted {grant.pattern}: packages of publisher {escaped(grant.publisher)}, signed by "
        f"{grant.threshold} of {owners}; isolation {grant.isolation} or stronger"
    )


def _document(trust_file: TrustFile) -> dict[str, object]:
    return {
        "version": trust_file.version,
        "expires": None if trust_file.expires is None else trust_file.expires.isoformat(),
        "roots": [root.key_id for root in trust_file.roots],
        "keys": [{"key_id": key_id, "owner": key.owner} for key_id, key in trust_file.keys.items()],
        "grants": [grant.to_document() for grant in trust_file.grants],
    }
