"""Packages that were accepted here, kept by digest, so that a workflow can be run by its name.

What is kept is verified again whenever it is run, like any file.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from cloacina.ctl.replacing import replace_file
from cloacina.errors import AmbiguousWorkflowError, UnknownWorkflowError
from cloacina.packages.home import Home
from cloacina.packages.loader import read_package
from cloacina.packages.refusal import PackageRefusedError
from cloacina.packages.verify import inspect
from cloacina_sdk.manifest import Manifest


def remember(home: Home, digest: str, raw: bytes) -> None:
    """Keep an accepted package; the one that was accepted last is what its name means."""
    home.packages.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(home.packages / f"{digest.removeprefix('sha256:')}.cloacina", raw)


def find(home: Home, text: str) -> tuple[Path, str]:
    """Return the file and the workflow that ``WORKFLOW`` or ``PACKAGE::WORKFLOW`` means.

    Raises:
        UnknownWorkflowError: naming the nearest names, if no package that ran here offers it.
        AmbiguousWorkflowError: if several packages do.
    """
    offered = _offered(home)
    fitting = [full for full, (_, name) in offered.items() if text in {full, name}]
    if len(fitting) == 1:
        return offered[fitting[0]]
    if fitting:
        raise AmbiguousWorkflowError(text, sorted(fitting))
    names = sorted({*offered, *(name for _, name in offered.values())})
    raise UnknownWorkflowError(text, get_close_matches(text, names, n=3), len(offered))


def names_offered(home: Home) -> list[str]:
    """Return every ``PACKAGE::WORKFLOW`` that can be run by its name."""
    return sorted(_offered(home))


def _offered(home: Home) -> dict[str, tuple[Path, str]]:
    return {
        f"{manifest.name}::{workflow.name}": (path, workflow.name)
        for path, manifest in _latest(home).values()
        for workflow in manifest.workflows
    }


def _latest(home: Home) -> dict[str, tuple[Path, Manifest]]:
    """For each package name the file that was kept last."""
    kept = sorted(home.packages.glob("*.cloacina"), key=lambda path: path.stat().st_mtime_ns)
    return {manifest.name: (path, manifest) for path, manifest in _readable(kept)}


def _readable(paths: list[Path]) -> Iterator[tuple[Path, Manifest]]:
    for path in paths:
        try:
            yield path, inspect(read_package(path)).unverified_manifest
        except PackageRefusedError:
            continue  # whoever damaged it took the name away with it; a run of the file says why
