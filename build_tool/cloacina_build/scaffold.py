"""Making a new project from a template."""

from __future__ import annotations

import keyword
import re
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from string import Template

from cloacina_build.errors import InvalidNameError, OutputError
from cloacina_build.settings import default_module
from cloacina_signing.wheel_paths import content_problems

_FORM = re.compile(r"[A-Za-z]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_NEEDED = frozenset({"build_native", "cffi", "pycparser", "setup", "setuptools"})


class Kind(StrEnum):
    """What the tasks of a new project are written in."""

    PYTHON = "python"
    CFFI = "cffi"


_FILES: dict[Kind, dict[str, str]] = {
    Kind.PYTHON: {
        "pyproject.toml": "python/pyproject.toml.txt",
        "README.md": "python/README.md.txt",
        ".gitignore": "gitignore.txt",
        "$module/__init__.py": "python/module.txt",
    },
    Kind.CFFI: {
        "pyproject.toml": "cffi/pyproject.toml.txt",
        "setup.py": "cffi/setup.py.txt",
        "build_native.py": "cffi/build_native.py.txt",
        "README.md": "cffi/README.md.txt",
        ".gitignore": "gitignore.txt",
        "$module/__init__.py": "cffi/module.txt",
    },
}


def create_project(name: str, kind: Kind, parent: Path) -> Path:
    """Write a project into a new directory of its name and return the directory.

    Raises:
        InvalidNameError: if a project, or the module in it, cannot be named so.
        OutputError: if there is something of that name, or it cannot be written.
    """
    module = _checked_module(name)
    directory = parent / name
    try:
        directory.mkdir()
        for path, template in _FILES[kind].items():
            target = directory / _filled(path, name, module)
            target.parent.mkdir(exist_ok=True)
            text = files("cloacina_build").joinpath("templates", template).read_text("utf-8")
            target.write_text(_filled(text, name, module), "utf-8")
    except FileExistsError as error:
        raise OutputError(directory, "it exists already, and nothing in it was touched") from error
    except OSError as error:
        raise OutputError(directory, f"it cannot be written: {error.strerror}") from error
    return directory


def _checked_module(name: str) -> str:
    if not _FORM.fullmatch(name):
        reason = "it takes up to 100 letters, digits, '.', '_' and '-', beginning with a letter"
        raise InvalidNameError(name, reason)
    module = default_module(name)
    if keyword.iskeyword(module):
        raise InvalidNameError(name, f"{module!r} is a word of the language")
    if module in _NEEDED:
        raise InvalidNameError(name, f"a module {module!r} would hide one that the build needs")
    problems = content_problems([f"{module}/__init__.py"], "")
    if problems:
        raise InvalidNameError(name, problems[0])
    return module


def _filled(text: str, name: str, module: str) -> str:
    return Template(text).substitute(name=name, module=module)
