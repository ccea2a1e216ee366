"""``cloacina-ctl inspect``: show what a package says of itself, running none of it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from cloacina.ctl.escaping import escaped
from cloacina.ctl.output import is_rich, write_json
from cloacina.ctl.package_file import read_signed
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.ctl.tree import Branch, other_dependencies, plain_lines, rich_tree, task_branches
from cloacina.ctl.verify import signers_of
from cloacina.packages.verify import UnverifiedPackage
from cloacina.packages.verify import inspect as inspect_package
from cloacina_sdk.spec import TaskSpec, WorkflowSpec
from cloacina_signing.errors import TrustError
from cloacina_signing.trust import Grant, TrustFile

_PAYLOAD = "payload/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureFact:
    """What is known here about one signature of a package.

    Attributes:
        owner: of the key; ``None`` if the key is not known here.
        is_valid: whether the signature is; ``None`` if the key is not known here.
        is_trusted: whether it counts for a package of this name.
    """

    key_id: str
    owner: str | None
    is_valid: bool | None
    is_trusted: bool

    def __str__(self) -> str:
        if self.is_valid is None:
            return f"{self.key_id}: not known here"
        verdict = "trusted" if self.is_trusted else "valid, but not trusted with this name"
        return f"{self.key_id} ({escaped(self.owner or '')}): " + (
            verdict if self.is_valid else "NOT VALID"
        )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
@pass_settings
def inspect(settings: Settings, *, file: Path, is_json: bool) -> None:
    """Show what a package says of itself: nothing of it is executed, and nothing is checked.

    Use ``verify`` to learn whether it would be accepted here.
    """
    package = inspect_package(read_signed(file))
    signatures = list(signature_facts(package, settings.home.trust()))
    if is_json:
        write_json(_document(package, signatures))
        return
    top = _branch(package, signatures)
    if is_rich(sys.stdout):
        from rich.console import Console  # noqa: PLC0415 - slow to import, needed on terminals only

        Console(highlight=False).print(rich_tree(top))
    else:
        for line in plain_lines(top):
            click.echo(str(line))


def signature_facts(package: UnverifiedPackage, trust: TrustFile | None) -> Iterator[SignatureFact]:
    """Say of each signature whether it counts here."""
    valid = signers_of(package, trust)
    known = {} if trust is None else trust.keys
    grant = _grant(package, trust)
    granted = grant.key_ids if grant is not None else ()
    for entry in package.unverified_signatures.entries:
        key = known.get(entry.key_id)
        is_valid = entry.key_id in valid
        yield SignatureFact(
            key_id=entry.key_id,
            owner=None if key is None else key.owner,
            is_valid=None if key is None else is_valid,
            is_trusted=is_valid and entry.key_id in granted,
        )


def platform_tags(package: UnverifiedPackage) -> list[str]:
    """Return the wheel tags that a package has wheels for."""
    found: set[str] = set()
    for name in package.archive.entries:
        wheel = name.removeprefix(_PAYLOAD)
        if name.startswith(_PAYLOAD) and "/" not in wheel:
            try:
                found.update(map(str, parse_wheel_filename(wheel)[3]))
            except InvalidWheelFilename:
                found.add(f"?{wheel}")  # verification refuses it; here it is only shown
    return sorted(found)


def _grant(package: UnverifiedPackage, trust: TrustFile | None) -> Grant | None:
    manifest = package.unverified_manifest
    try:
        grant = None if trust is None else trust.grant_for(manifest.name)
    except TrustError:
        return None  # ambiguous: nobody counts
    return grant if grant is not None and grant.publisher == manifest.publisher else None


def _branch(package: UnverifiedPackage, signatures: list[SignatureFact]) -> Branch:
    manifest = package.unverified_manifest
    top = Branch(f"{escaped(manifest.name)} {escaped(manifest.version)}", "bold")
    facts = {
        "digest": package.digest,
        "release": str(manifest.release),
        "publisher": manifest.publisher,
        "authors": ", ".join(manifest.authors),
        "description": manifest.description,
        "created": manifest.created,
        "expires": manifest.expires or "never",
        "platforms": ", ".join(platform_tags(package)),
        "needs Python": manifest.requires_python,
        "needs cloacina": manifest.requires_host,
        "isolation": manifest.isolation,
        "capabilities": ", ".join(manifest.capabilities),
    }
    top.children.extend(Branch(f"{name}: {_line(fact)}") for name, fact in facts.items() if fact)
    top.children.extend(_workflow_branch(workflow) for workflow in manifest.workflows)
    entries = [
        Branch(f"{name}  {len(content):,} bytes")
        for name, content in package.archive.entries.items()
    ]
    top.children.append(Branch("entries", "bold", entries))
    top.children.append(Branch("signatures", "bold", list(map(_signature_branch, signatures))))
    if not signatures:
        top.children[-1].children.append(Branch("none: the package is not signed", "yellow"))
    return top


def _line(text: str) -> str:
    return escaped(" ".join(text.split()))


def _workflow_branch(workflow: WorkflowSpec) -> Branch:
    others = other_dependencies(workflow)

    def describe(task: TaskSpec) -> tuple[str, str]:
        also = f"  (also after {', '.join(others[task.id])})" if others[task.id] else ""
        return f"{escaped(task.id)}{escaped(also)}", "cyan"

    about = f": {_line(workflow.description)}" if workflow.description else ""
    return Branch(
        f"workflow {escaped(workflow.name)}{about}", "bold", task_branches(workflow, describe)
    )


def _signature_branch(signature: SignatureFact) -> Branch:
    return Branch(str(signature), "green" if signature.is_trusted else "yellow")


def _document(package: UnverifiedPackage, signatures: list[SignatureFact]) -> dict[str, object]:
    manifest = package.unverified_manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "release": manifest.release,
        "publisher": manifest.publisher,
        "digest": package.digest,
        "description": manifest.description,
        "authors": manifest.authors,
        "created": manifest.created,
        "expires": manifest.expires,
        "requires_host": manifest.requires_host,
        "requires_python": manifest.requires_python,
        "platforms": platform_tags(package),
        "workflows": [
            {
                "name": workflow.name,
                "description": workflow.description,
                "tasks": [
                    {"id": task.id, "dependencies": task.dependencies} for task in workflow.tasks
                ],
            }
            for workflow in manifest.workflows
        ],
        "isolation": manifest.isolation,
        "capabilities": manifest.capabilities,
        "min_signatures": manifest.min_signatures,
        "entries": [
            {"name": name, "size_bytes": len(content)}
            for name, content in package.archive.entries.items()
        ],
        "signatures": [
            {
                "key_id": fact.key_id,
                "owner": fact.owner,
                "valid": fact.is_valid,
                "trusted": fact.is_trusted,
            }
            for fact in signatures
        ],
    }
