"""The file name of a wheel: ``{distribution}-{version}[-{build}]-{python}-{abi}-{platform}.whl``.

Source: the binary distribution format, PEP 427; tags and their compressed sets, PEP 425.
"""

import re
from dataclasses import dataclass
from itertools import product

from cloacina_signing.errors import WheelError

_MAX_CHARS = 255
_NAME = re.compile(
    r"(?P<distribution>[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)"
    r"-(?P<version>[A-Za-z0-9][A-Za-z0-9._+!]*)"
    r"(?:-(?P<build>[0-9][A-Za-z0-9_.]*))?"
    r"-(?P<python>[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)"
    r"-(?P<abi>[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)"
    r"-(?P<platform>[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)\.whl"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """The parts of a wheel's file name; `tags` is the expanded set, ``py3-none-any`` each."""

    distribution: str
    version: str
    build: str
    tags: frozenset[str]


def parse_wheel_name(filename: str) -> WheelName:
    """Read the parts of a wheel's file name.

    Raises:
        WheelError: this is not the file name of a wheel.
    """
    match = _NAME.fullmatch(filename) if len(filename) <= _MAX_CHARS else None
    if match is None:
        form = "name-version[-build]-python-abi-platform.whl"
        raise WheelError(filename, [f"the file name does not have the form {form}"])
    sets = (match["python"].split("."), match["abi"].split("."), match["platform"].split("."))
    return WheelName(
        distribution=match["distribution"],
        version=match["version"],
        build=match["build"] or "",
        tags=frozenset("-".join(parts) for parts in product(*sets)),
    )


def normalised(name: str) -> str:
    """Return a distribution's name as names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_version(one: str, other: str) -> bool:
    """Tell whether two spellings are one version, `_` in a file name standing for `-`."""
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()
