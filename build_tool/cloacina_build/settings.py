"""The table `[tool.cloacina]` of a project.

* The table is closed: an unknown key is a problem, which names the nearest known one.
* The forms of names and numbers are those of the manifest, which is asked for them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidManifestError
from cloacina_sdk.manifest import ISOLATIONS, Manifest
from cloacina_signing.wheel_paths import content_problems

TABLE: Final = "tool.cloacina"
KEYS: Final = ("package", "modules", "release", "publisher", "isolation", "capabilities")
DEFAULT_PUBLISHER: Final = "local"

_LARGEST_RELEASE = 2**53 - 1
_SOME_TIME = "1980-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the table says, defaults filled in.

    Attributes:
        package: the package's name; the project's by default.
        modules: what is imported to find workflows; by default the module that is named like
            the project.
        release: None where it is to be derived from the version.
    """

    package: str
    modules: tuple[str, ...]
    release: int | None
    publisher: str
    isolation: str
    capabilities: tuple[str, ...]


def default_module(project_name: str) -> str:
    """Return the module that a project of this name has, by convention."""
    return project_name.lower().replace("-", "_").replace(".", "_")


def read_settings(table: Mapping[str, object], project_name: str, problems: list[str]) -> Settings:
    """Read the table and add everything that is wrong with it to the problems."""
    before = len(problems)
    problems += [_unknown(key) for key in table if key not in KEYS]
    known = {key: value for key, value in table.items() if key in KEYS}
    fields = Fields(known, TABLE, problems)
    settings = Settings(
        package=fields.text("package", project_name),
        modules=fields.texts("modules", (default_module(project_name),)),
        release=fields.integer("release", highest=_LARGEST_RELEASE) if "release" in known else None,
        publisher=fields.text("publisher", DEFAULT_PUBLISHER),
        isolation=fields.choice("isolation", ISOLATIONS, "process"),
        capabilities=fields.texts("capabilities", ()),
    )
    if len(problems) == before:
        problems += _form_problems(settings)
    return settings


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEYS)}"
    return f"{TABLE}.{key} is not a known key; {hint}"


def _form_problems(settings: Settings) -> list[str]:
    problems: list[str] = []
    if not settings.modules:
        problems.append(f"{TABLE}.modules names no module: there would be no workflows")
    tops = dict.fromkeys(module.partition(".")[0] for module in settings.modules)
    problems += content_problems([f"{top}/__init__.py" for top in tops], "")
    draft = Manifest(
        name=settings.package,
        version="0",
        release=settings.release or 0,
        publisher=settings.publisher,
        created=_SOME_TIME,
        modules=settings.modules,
        workflows=(),
        isolation=settings.isolation,
        capabilities=settings.capabilities,
    )
    try:
        Manifest.from_document(draft.to_document())
    except InvalidManifestError as error:
        problems += [_in_the_table(problem) for problem in error.problems]
    return problems


def _in_the_table(problem: str) -> str:
    path, _, rest = problem.removeprefix("$.").partition(" ")
    return f"{TABLE}.{'package' if path == 'name' else path} {rest}"
