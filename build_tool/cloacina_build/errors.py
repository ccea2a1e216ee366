"""Every error that this distribution raises; `BuildError` is their root.

* A constructor takes facts, builds the sentence and keeps the facts as attributes.
* `next_step` is what the author can do about it; `exit_code` is what the command line ends with:
  2 when the command cannot be carried out as it was given, 3 when the project is at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class BuildError(Exception):
    """The root of the errors that have to do with making and building projects."""

    exit_code: ClassVar[int] = 3

    def __init__(self, sentence: str, *, next_step: str = "") -> None:
        self.next_step = next_step
        super().__init__(sentence)


class MissingProjectError(BuildError, FileNotFoundError):
    """There is no project where one should be."""

    exit_code = 2

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(
            f"{directory} has no pyproject.toml",
            next_step="name the directory of a project, or make one: cloacina-build new NAME",
        )


class MissingTableError(BuildError, LookupError):
    """A project does not say that it is to become a package."""

    def __init__(self, pyproject: Path, module: str) -> None:
        self.pyproject = pyproject
        super().__init__(
            f"{pyproject} has no table [tool.cloacina]",
            next_step="add these lines to it:\n\n"
            f'  [tool.cloacina]\n  modules = ["{module}"]\n  publisher = "your name"',
        )


class InvalidProjectError(BuildError, ValueError):
    """A project cannot become a package; `problems` holds one sentence for each reason."""

    def __init__(self, directory: Path, problems: Sequence[str], *, next_step: str = "") -> None:
        self.directory = directory
        self.problems = tuple(problems)
        count = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"{directory} has {count}:{listed}", next_step=next_step)


class UnderivableReleaseError(BuildError, ValueError):
    """No release number follows from a version."""

    def __init__(self, version: str, reason: str) -> None:
        self.version = version
        self.reason = reason
        super().__init__(
            f"no release number can be derived from version {version}: {reason}",
            next_step="write release = N in [tool.cloacina]; it has to grow with each publication",
        )


class InvalidSourceTimeError(BuildError, ValueError):
    """The variable `SOURCE_DATE_EPOCH` does not hold a time."""

    exit_code = 2

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(
            f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds since 1970",
            next_step="unset it, or set it to the output of: git log -1 --format=%ct",
        )


class BackendError(BuildError, RuntimeError):
    """The project's build backend failed; `output` holds what matters of what it wrote."""

    def __init__(self, doing: str, output: str, *, next_step: str = "") -> None:
        self.doing = doing
        self.output = output
        said = f":\n{output}" if output else ""
        super().__init__(f"{doing} failed{said}", next_step=next_step)


class PackageImportError(BuildError, ImportError):
    """The modules of the built package do not import, or define no valid workflow.

    Attributes:
        where: the lines of the traceback that lie in the package, or "".
    """

    def __init__(self, package: str, reason: str, where: str = "") -> None:
        self.package = package
        self.reason = reason
        self.where = where
        super().__init__(
            f"package {package!r} cannot be loaded: {reason}" + (f"\n{where}" if where else "")
        )


class WorkerError(BuildError, RuntimeError):
    """There is no process to import the package in."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the package cannot be imported to be described: {reason}")


class InvalidNameError(BuildError, ValueError):
    """A new project cannot have this name."""

    exit_code = 2

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(
            f"{name!r} cannot name a project: {reason}",
            next_step="choose another one, such as my-workflow",
        )


class OutputError(BuildError, OSError):
    """A file or directory cannot be written."""

    exit_code = 2

    def __init__(self, path: Path, fact: str, *, next_step: str = "choose another name") -> None:
        self.path = path
        self.fact = fact
        super().__init__(f"{path}: {fact}", next_step=next_step)


class SigningKeyError(BuildError, PermissionError):
    """The key that was to sign cannot be used."""

    exit_code = 2

    def __init__(self, fact: str, *, next_step: str = "") -> None:
        self.fact = fact
        super().__init__(fact, next_step=next_step)
