"""``cloacina-ctl verify``: check packages in every respect, with every reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.mending import mending_steps
from cloacina.ctl.output import write_json
from cloacina.ctl.package_file import read_signed
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.packages.host import this_host
from cloacina.packages.refusal import PackageRefusedError, Reason
from cloacina.packages.verify import UnverifiedPackage, inspect
from cloacina.packages.verify import verify as verify_package
from cloacina_signing.dsse import MANIFEST_TYPE
from cloacina_signing.trust import TrustFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verification found about one file.

    Attributes:
        package: what the file says of itself; ``None`` if it cannot be read as a package.
        signers: ids of the keys known here whose signatures are valid.
        reasons: against it; none if it is accepted.
    """

    path: Path
    package: UnverifiedPackage | None
    signers: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @property
    def exit_code(self) -> int:
        """The exit code for the first reason; 0 without one."""
        return self.reasons[0].code.exit_code if self.reasons else 0

    def to_document(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "ok": not self.reasons,
            "digest": None if self.package is None else self.package.digest,
            "signers": list(self.signers),
            "reasons": [
                {"code": reason.code.value, "message": reason.message} for reason in self.reasons
            ],
        }


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--json", "is_json", is_flag=True, help="Write JSON; a list for several files.")
@pass_settings
@click.pass_context
def verify(ctx: click.Context, settings: Settings, *, files: Sequence[Path], is_json: bool) -> None:
    """Check packages in every respect; nothing of them is executed.

    FILE.sig beside a FILE is read too. The exit code is that of the first package refused.
    """
    trust = settings.home.trust()
    verdicts = [judge(path, trust) for path in files]
    if is_json:
        documents = [verdict.to_document() for verdict in verdicts]
        write_json(documents[0] if len(documents) == 1 else documents)
    else:
        for verdict in verdicts:
            _show(verdict, trust, settings)
    ctx.exit(next((verdict.exit_code for verdict in verdicts if verdict.reasons), 0))


def judge(path: Path, trust: TrustFile | None) -> Verdict:
    """Verify one file for this host, now.

    Raises:
        OSError: if it cannot be read.
    """
    try:
        raw = read_signed(path)
    except PackageRefusedError as error:
        return Verdict(path=path, package=None, signers=(), reasons=error.reasons)
    return judge_bytes(path, raw, trust)


def judge_bytes(path: Path, raw: bytes, trust: TrustFile | None) -> Verdict:
    """Verify what was read from a path for this host, now."""
    reasons = reasons_against(raw, trust)
    package = _inspected(raw)
    return Verdict(path=path, package=package, signers=signers_of(package, trust), reasons=reasons)


def reasons_against(raw: bytes, trust: TrustFile | None) -> tuple[Reason, ...]:
    """Return every reason against a package on this host, now; none if it is accepted."""
    try:
        verify_package(raw, trust=trust, host=this_host(), now=datetime.now(UTC))
    except PackageRefusedError as error:
        return error.reasons
    return ()


def signers_of(package: UnverifiedPackage | None, trust: TrustFile | None) -> tuple[str, ...]:
    """Return the ids of the keys known here whose signatures on a package are valid, sorted."""
    if package is None or trust is None:
        return ()
    known = {key_id: key.public for key_id, key in trust.keys.items()}
    valid = package.unverified_signatures.verified_key_ids(
        package.archive.manifest, MANIFEST_TYPE, known
    )
    return tuple(sorted(valid))


def _inspected(raw: bytes) -> UnverifiedPackage | None:
    try:
        return inspect(raw)
    except PackageRefusedError:
        return None  # its reasons are among those of verification


def _show(verdict: Verdict, trust: TrustFile | None, settings: Settings) -> None:
    shown_path = escaped(str(verdict.path))
    if not verdict.reasons and verdict.package is not None:
        manifest = verdict.package.unverified_manifest
        click.echo(f"accepted: {shown_path}")
        click.echo(
            f"  {escaped(manifest.name)} {escaped(manifest.version)} by {escaped(manifest.publisher)}"
        )
        click.echo(f"  {verdict.package.digest}")
        click.echo(f"  signed by {_named(verdict.signers, trust)}")
        return
    click.echo(f"refused: {shown_path}")
    for line in refusal_lines(verdict, trust, settings):
        click.echo(line)


def refusal_lines(verdict: Verdict, trust: TrustFile | None, settings: Settings) -> Iterator[str]:
    """Say every reason against a package, then the commands that would mend it, if any can."""
    for reason in verdict.reasons:
        yield f"  {reason.code}: {escaped(reason.message)}"
    if verdict.package is None or verdict.path.is_dir():
        return  # there is no file that a command could mend
    steps = mending_steps(verdict.path, verdict.package, verdict.reasons, trust, settings)
    if steps:
        yield "If you want it accepted here:"
        yield from (f"  {step}" for step in steps)


def _named(key_ids: Sequence[str], trust: TrustFile | None) -> str:
    keys = {} if trust is None else trust.keys
    return ", ".join(f"{escaped(keys[key_id].owner)} ({key_id})" for key_id in key_ids)
