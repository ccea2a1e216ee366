"""Which files a wheel may hold.

Rules:

* Paths are relative, with forward slashes, without empty, ``.`` or ``..`` segments, drive letters,
  backslashes, control characters or lone surrogates; a segment is at most 255 bytes, a path 1,000.
* No two paths are equal ignoring case and Unicode form, and none is a directory of another.
* Nothing that runs by being installed (``.pth``, ``sitecustomize``, ``.data`` directories, which
  hold scripts), no metadata of another distribution, and no compiled bytecode, which need not match
  its source.
* No importable top-level name shadows the standard library or the host's own runtime.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator

from cloacina_signing.errors import shown

_MAX_PATH_BYTES = 1000
_MAX_SEGMENT_BYTES = 255
_FIRST_PRINTABLE = 0x20
_DELETE = "\x7f"
_IMPORTABLE = (".py", ".so", ".pyd", ".pyw")
_BYTECODE = (".pyc", ".pyo")
_HOST_RUNTIME = frozenset(
    {
        "cloaca",
        "cloacina",
        "cloacina_build",
        "cloacina_native",
        "cloacina_sdk",
        "cloacina_signing",
    }
)
_RUN_BY_INTERPRETER = frozenset({"sitecustomize", "usercustomize", "__main__"})
_FOREIGN_METADATA = (".dist-info", ".egg-info", ".egg-link")


def path_problems(paths: Iterable[str]) -> list[str]:
    """Return every problem of the spelling of these paths and of their living together."""
    problems: list[str] = []
    seen: dict[str, str] = {}
    for path in paths:
        problems += [f"{shown(path)} {problem}" for problem in _spelling(path)]
        other = seen.setdefault(_folded(path), path)
        if other is not path:
            problems.append(f"{shown(path)} appears twice, the other time as {shown(other)}")
    for folded, path in seen.items():
        parents = [parent for parent in _parents(folded) if parent in seen]
        problems += [f"{shown(path)} lies inside the file {shown(seen[p])}" for p in parents]
    return problems


def content_problems(paths: Iterable[str], dist_info: str) -> list[str]:
    """Return every file that a wheel in a package must not hold."""
    problems: list[str] = []
    for path in paths:
        top, _, rest = path.partition("/")
        if rest and top.lower().endswith(".data"):
            problems.append(f"{shown(path)} lies in a .data directory; scripts are not installed")
        if top.lower().endswith(_FOREIGN_METADATA) and top != dist_info:
            problems.append(f"{shown(path)} describes another distribution than {shown(dist_info)}")
        if path.lower().endswith(".pth"):
            problems.append(f"{shown(path)} would run at every start of the interpreter")
        if path.lower().endswith(_BYTECODE):
            problems.append(f"{shown(path)} is bytecode, which need not match its source")
    for name in sorted(top_level_names(paths)):
        if name in sys.stdlib_module_names:
            problems.append(f"the top-level name {shown(name)} shadows the standard library")
        if name in _HOST_RUNTIME:
            problems.append(f"the top-level name {shown(name)} shadows the host's runtime")
        if name in _RUN_BY_INTERPRETER:
            problems.append(f"the top-level name {shown(name)} is run by the interpreter itself")
    return problems


def top_level_names(paths: Iterable[str]) -> frozenset[str]:
    """Return the names that these files make importable at the top level."""
    names: set[str] = set()
    for path in paths:
        top, _, rest = path.partition("/")
        if not rest and not top.lower().endswith(_IMPORTABLE):
            continue
        name = top if rest else top.partition(".")[0]
        if name.isidentifier():
            names.add(name)
    return frozenset(names)


def _spelling(path: str) -> Iterator[str]:
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        yield "holds half of a surrogate pair"
        return
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        yield "has an empty, '.' or '..' segment"
    if "\\" in path or ":" in path:
        yield "has a backslash or a colon"
    if any(ord(char) < _FIRST_PRINTABLE or char == _DELETE for char in path):
        yield "has a control character"
    too_long = any(len(segment.encode()) > _MAX_SEGMENT_BYTES for segment in segments)
    if too_long or size_bytes > _MAX_PATH_BYTES:
        yield "is too long"


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _parents(path: str) -> Iterator[str]:
    position = path.find("/")
    while position != -1:
        yield path[:position]
        position = path.find("/", position + 1)
