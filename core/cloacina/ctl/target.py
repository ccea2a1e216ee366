"""What is to be run: one workflow of a package file, of a project directory, or known by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from cloacina.ctl.development import build_for_development
from cloacina.ctl.exit_codes import FORMAT, USAGE
from cloacina.ctl.failure import Failure
from cloacina.ctl.package_file import read_signed
from cloacina.ctl.remembered import find, names_offered, remember
from cloacina.ctl.settings import Settings
from cloacina.ctl.verify import judge_bytes, refusal_lines
from cloacina.errors import AmbiguousWorkflowError, UnknownWorkflowError
from cloacina_sdk.spec import WorkflowSpec
from cloacina_signing.trust import TrustFile

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A package that is accepted here, and which of its workflows is meant.

    Attributes:
        text: how the user named it.
        package: its name.
        trust: whom to trust for this run.
    """

    text: str
    raw: bytes
    package: str
    digest: str
    workflow: WorkflowSpec
    trust: TrustFile | None

    @classmethod
    def parse(cls, text: str, settings: Settings) -> "Target":
        """Read or build what ``FILE``, ``DIR``, both with ``::WORKFLOW``, or ``WORKFLOW`` names.

        A name alone is looked for in the packages that ran here before.

        Raises:
            Failure: if it names nothing that there is, or the package is refused.
            UnknownWorkflowError: if the package does not offer the workflow.
            AmbiguousWorkflowError: if it offers several and none is named.
        """
        path, workflow = _split(text)
        if not path.exists():
            path, workflow = _by_name(text, path, settings)
        trust: TrustFile | None
        if path.is_dir():
            built = build_for_development(path, settings.home_made())
            raw, trust = built.raw, built.trust
        else:
            raw, trust = read_signed(path), settings.home.trust()
        verdict = judge_bytes(path, raw, trust)
        package = verdict.package
        if verdict.reasons or package is None:
            raise Failure(
                f"the package {path} is refused:",
                steps=refusal_lines(verdict, trust, settings),
                exit_code=verdict.exit_code,
            )
        chosen = _chosen(path, workflow, package.unverified_manifest.workflows)
        if not path.is_dir():
            remember(settings.home_made(), package.digest, raw)
        return cls(
            text=text,
            raw=raw,
            package=package.unverified_manifest.name,
            digest=package.digest,
            workflow=chosen,
            trust=trust,
        )


def _split(text: str) -> tuple[Path, str | None]:
    path, separator, workflow = text.rpartition("::")
    if not separator or Path(text).exists():
        return Path(text), None
    return Path(path), workflow


def _by_name(text: str, path: Path, settings: Settings) -> tuple[Path, str]:
    try:
        return find(settings.home, text)
    except UnknownWorkflowError as error:
        raise _unknown(text, path, error.near, names_offered(settings.home)) from error


def _unknown(text: str, path: Path, known: list[str], offered: Sequence[str]) -> Failure:
    here = [found.name for found in Path().glob("*.cloacina")]
    here += [found.parent.name for found in Path().glob("*/pyproject.toml")]
    near = get_close_matches(str(path), here, n=3) or get_close_matches(
        f"{path}.cloacina", here, n=3
    )
    near = [*known, *near]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "give the path of one"
    if offered:
        hint = f"{hint} Known by name here: {_listed(offered)}"
    return Failure(
        f"there is no workflow {text!r}: it is neither a package file nor a project "
        f"directory, nor the name of a workflow that ran here before; {hint}",
        exit_code=USAGE,
    )


def _chosen(path: Path, name: str | None, offered: tuple[WorkflowSpec, ...]) -> WorkflowSpec:
    names = [workflow.name for workflow in offered]
    if name is None:
        match offered:
            case (only,):
                return only
            case ():
                raise Failure(f"the package {path} offers no workflow", exit_code=FORMAT)
            case _:
                raise AmbiguousWorkflowError(str(path), [f"{path}::{each}" for each in names])
    for workflow in offered:
        if workflow.name == name:
            return workflow
    near = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise Failure(
        f"the package {path} offers no workflow {name!r}; {hint}it offers {_listed(names)}",
        exit_code=USAGE,
    )


def _listed(names: Sequence[str]) -> str:
    """Name at most twenty."""
    shown = ", ".join(names[:_SHOWN]) or "none"
    left = len(names) - _SHOWN
    return f"{shown} and {left:,} more" if left > 0 else shown
