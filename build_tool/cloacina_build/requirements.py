"""What a package may need at run time: what every worker provides, and nothing else yet.

Workers see the SDK, cffi and pycparser beside the package itself, in the versions of the host.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version as installed_version

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

PROVIDED = ("cloacina-sdk", "cffi", "pycparser")


def requirement_problems(requirements: Iterable[str], requires_python: str) -> list[str]:
    """Return everything in a project's requirements that a package cannot have."""
    problems = [problem for text in requirements if (problem := _problem_of(text))]
    try:
        pythons = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return [*problems, f"requires-python is {requires_python!r}, which is no PEP 440 specifier"]
    running = platform.python_version()
    if not pythons.contains(running, prereleases=True):
        problems.append(
            f"it requires Python {requires_python}, and this is {running}: "
            "build it with a Python that it runs on"
        )
    return problems


def _problem_of(text: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        return f"the dependency {text!r} cannot be read: {str(error).splitlines()[0]}"
    if requirement.marker is not None and _is_optional(requirement.marker):
        return ""
    name = canonicalize_name(requirement.name)
    if name not in PROVIDED:
        return (
            f"it depends on {requirement.name!r}, which no worker has: only "
            f"{', '.join(PROVIDED)} are provided, and packages do not carry others yet; "
            "copy what you need into the project"
        )
    found = installed_version(name)
    if requirement.url is None and not requirement.specifier.contains(found, prereleases=True):
        return f"it depends on {text!r}, and the host provides {requirement.name} {found}"
    return ""


def _is_optional(marker: Marker) -> bool:
    return "extra" in str(marker) and not marker.evaluate({"extra": ""})
