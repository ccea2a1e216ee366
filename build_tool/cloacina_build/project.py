"""A project on disk, as far as its `pyproject.toml` tells.

* Everything that can be told from the file alone is told at once, before anything is built.
* What the build backend fills in (a dynamic version, say) is read later, from the wheel.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from cloacina_build.errors import (
    InvalidProjectError,
    MissingProjectError,
    MissingTableError,
    UnderivableReleaseError,
)
from cloacina_build.release import release_of
from cloacina_build.requirements import requirement_problems
from cloacina_build.settings import Settings, default_module, read_settings
from cloacina_sdk.document import Fields

FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that says it is to become a package; `name` is that of its distribution."""

    directory: Path
    name: str
    settings: Settings


def read_project(directory: Path) -> Project:
    """Read and check the `pyproject.toml` of a project.

    Raises:
        MissingProjectError: if there is none.
        MissingTableError: if it has no table `[tool.cloacina]`.
        InvalidProjectError: with everything else that is wrong with it.
    """
    document = _read_toml(directory)
    problems: list[str] = []
    name = _read_core(document, problems)
    table = _read_table(document, directory, default_module(name or directory.resolve().name))
    settings = read_settings(table, name or "unnamed", problems)
    if settings.release is None and not problems:
        problems += _release_problems(document["project"])
    if problems:
        raise InvalidProjectError(directory / FILE, problems)
    return Project(directory=directory, name=name, settings=settings)


def _read_toml(directory: Path) -> dict[str, object]:
    path = directory / FILE
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingProjectError(directory) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidProjectError(path, [f"it cannot be read: {error}"]) from error


def _read_core(document: Mapping[str, object], problems: list[str]) -> str:
    """Check the table `[project]` and return the name in it; with a problem, maybe none."""
    table = document.get("project")
    if not isinstance(table, Mapping):
        problems.append("there is no table [project] with a name and a version")
        return ""
    fields = Fields(table, "project", problems)
    name = _checked_name(fields.text("name"), problems)
    dynamic = fields.texts("dynamic", ())
    if "version" not in dynamic:
        version = fields.text("version")
        problems += _version_problems(version) if version else []
    problems += requirement_problems(
        fields.texts("dependencies", ()), fields.text("requires-python", "")
    )
    return name


def _checked_name(name: str, problems: list[str]) -> str:
    try:
        canonicalize_name(name or "absent", validate=True)
    except InvalidName:
        problems.append(
            f"project.name is {name!r}; use letters, digits, and '.', '_' and '-' between them"
        )
        return ""
    return name


def _version_problems(text: str) -> list[str]:
    try:
        version = Version(text)
    except InvalidVersion:
        return [f"project.version is {text!r}, which is no version such as 1.0.2 (PEP 440)"]
    return (
        [f"project.version {text} has an epoch, which a package cannot have"]
        if version.epoch
        else []
    )


def _read_table(document: Mapping[str, object], directory: Path, module: str) -> dict[str, object]:
    tools = document.get("tool")
    table = tools.get("cloacina") if isinstance(tools, Mapping) else None
    if not isinstance(table, dict):
        raise MissingTableError(directory / FILE, module)
    return table


def _release_problems(table: object) -> list[str]:
    version = table.get("version") if isinstance(table, Mapping) else None
    if not isinstance(version, str):
        return []  # dynamic: known once the wheel is built
    try:
        release_of(Version(version))
    except UnderivableReleaseError as error:
        return [f"{error}; {error.next_step}"]
    return []
