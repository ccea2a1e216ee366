"""The environment that build backends and compilers run in.

It is the caller's, but for what would make one source give several results: paths in debug
information, identifiers of a link, locales, time zones, flags of this machine. Flags that a
project needs belong in its own build script.
"""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

_DROPPED = frozenset(
    {
        "ARCHFLAGS",
        "CPPFLAGS",
        "DISTUTILS_DEBUG",
        "LANG",
        "LANGUAGE",
        "LD_RUN_PATH",
        "PYTHONOPTIMIZE",
        "PYTHONPYCACHEPREFIX",
        "PYTHONSAFEPATH",
        "PYTHONWARNINGS",
    }
)


def build_environment(
    inherited: Mapping[str, str], root: Path, source_time_s: int
) -> dict[str, str]:
    """Return the variables for a build below a directory whose path must not show."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _DROPPED and not name.startswith("LC_")
    }
    return {
        **kept,
        "LC_ALL": "C",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",  # keeps what backend and compiler say in the order of events
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(source_time_s),
        **_compiler_flags(inherited, root),
    }


def _compiler_flags(inherited: Mapping[str, str], root: Path) -> dict[str, str]:
    compiling = f"-O2 -DNDEBUG -fwrapv -Wall -g0 -ffile-prefix-map={shlex.quote(str(root))}=."
    flags = {"CFLAGS": compiling, "CXXFLAGS": compiling, "LDFLAGS": ""}
    if sys.platform.startswith("linux"):
        flags["LDFLAGS"] = "-Wl,--build-id=none"
        flags["LDSHARED"] = inherited.get("LDSHARED") or _linker("LDSHARED", inherited.get("CC"))
        flags["LDCXXSHARED"] = inherited.get("LDCXXSHARED") or _linker(
            "LDCXXSHARED", inherited.get("CXX")
        )
    return flags


def _linker(variable: str, compiler: str | None) -> str:
    """Return the interpreter's own link command without the library paths of its machine."""
    command = shlex.split(str(sysconfig.get_config_var(variable) or "cc -shared"))
    kept = [word for word in command[1:] if not word.startswith(("-L", "-Wl,-rpath"))]
    return shlex.join([*shlex.split(compiler or command[0]), *kept])
