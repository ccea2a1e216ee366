"""A clean copy of a project, from which it is built.

Backends write into the tree that they build; what they find there from an earlier build would
end up in the wheel. So neither happens in the author's tree.
"""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

from cloacina_build.errors import InvalidProjectError

_ANYWHERE = (
    ".git",
    ".hg",
    ".svn",
    ".tox",
    ".nox",
    ".*_cache",
    "__pycache__",
    "*.py[co]",
    "*.egg-info",
    "*.cloacina",
)
_AT_THE_TOP = ("build", "dist")


def copy_source(directory: Path, copy: Path) -> None:
    """Copy a project without what builds, tests and version control left in it.

    Links are followed: the copy holds what they point at.

    Raises:
        InvalidProjectError: with every file that cannot be copied.
    """

    def skipped(folder: str, names: list[str]) -> set[str]:
        patterns = _ANYWHERE + _AT_THE_TOP if Path(folder) == directory else _ANYWHERE
        return {
            name
            for name in names
            if any(fnmatch(name, one) for one in patterns)
            or Path(folder, name, "pyvenv.cfg").is_file()
        }

    try:
        shutil.copytree(directory, copy, ignore=skipped, copy_function=shutil.copy)
    except shutil.Error as error:
        failures: list[tuple[str, str, str]] = error.args[0]
        raise InvalidProjectError(
            directory, [f"{source} cannot be copied: {reason}" for source, _, reason in failures]
        ) from error
    except OSError as error:
        raise InvalidProjectError(directory, [f"it cannot be copied: {error}"]) from error
