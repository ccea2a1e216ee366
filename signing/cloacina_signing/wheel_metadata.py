"""What a wheel says of itself in ``WHEEL`` and ``METADATA``, against its file name.

Rules:

* Both files are there, UTF-8, and give each single field once.
* ``Wheel-Version`` is 1.x, ``Root-Is-Purelib`` is true or false, the tags and the build are those
  of the file name; ``Name`` and ``Version`` are those of the file name.

Source: PEP 427; core metadata, PEP 566.
"""

from collections.abc import Iterator, Mapping

from cloacina_signing.errors import shown
from cloacina_signing.wheel_name import WheelName, normalised, same_version


def metadata_problems(files: Mapping[str, bytes], dist_info: str, name: WheelName) -> list[str]:
    """Return every disagreement between the file name and the wheel's own metadata."""
    problems: list[str] = []
    for file, check in (("WHEEL", _wheel_problems), ("METADATA", _core_problems)):
        raw = files.get(f"{dist_info}/{file}")
        if raw is None:
            problems.append(f"{file} is missing")
            continue
        try:
            fields = _fields(raw)
        except UnicodeDecodeError:
            problems.append(f"{file} is not UTF-8")
            continue
        problems += [f"{file} {problem}" for problem in check(fields, name)]
    return problems


def _wheel_problems(fields: Mapping[str, list[str]], name: WheelName) -> Iterator[str]:
    version = _single(fields, "wheel-version")
    if version is None or not version.startswith("1."):
        yield "does not give one Wheel-Version 1.x"
    if _single(fields, "root-is-purelib") not in ("true", "false"):
        yield "does not say once whether Root-Is-Purelib"
    if fields.get("build", [""]) != [name.build]:
        yield "gives another build number than the file name"
    tags = frozenset(fields.get("tag", []))
    if tags != name.tags:
        differing = ", ".join(shown(tag) for tag in sorted(tags ^ name.tags)[:5])
        yield f"gives other tags than the file name: {differing}"


def _core_problems(fields: Mapping[str, list[str]], name: WheelName) -> Iterator[str]:
    given_name = _single(fields, "name")
    if given_name is None or normalised(given_name) != normalised(name.distribution):
        yield f"does not give the file name's name {name.distribution}"
    given_version = _single(fields, "version")
    if given_version is None or not same_version(given_version, name.version):
        yield f"does not give the file name's version {name.version}"


def _single(fields: Mapping[str, list[str]], key: str) -> str | None:
    values = fields.get(key, [])
    return values[0] if len(values) == 1 else None


def _fields(raw: bytes) -> dict[str, list[str]]:
    """Read the header fields, lower-cased, up to the first empty line; folded lines are left out."""
    fields: dict[str, list[str]] = {}
    for line in raw.decode("utf-8").replace("\r\n", "\n").split("\n"):
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    return fields
