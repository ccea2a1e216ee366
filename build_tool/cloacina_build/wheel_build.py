"""Building the wheel of a project by its own backend (PEP 517).

* Where everything that the build requires is installed beside this tool, it is used as it is
  and nothing is fetched; otherwise an isolated environment is made, which may use the index.
* The backend's output is kept; when it fails, a part is shown: a compiler's first error and what
  follows, or else the end.
"""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import CalledProcessError

from build import (
    BuildBackendException,
    BuildException,
    FailedProcessError,
    ProjectBuilder,
    check_dependency,
)
from build.env import DefaultIsolatedEnv
from packaging.requirements import InvalidRequirement

from cloacina_build.errors import BackendError, InvalidProjectError

_SHOWN_LINES = 20
_COMPILER_ERROR = re.compile(r":[0-9]+: (fatal )?error: ")
_UMASK = 0o022


def build_wheel(
    source: Path, output: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> Path:
    """Build a project that may be written to, and return the path of the wheel.

    Raises:
        BackendError: with the part of the backend's output that matters.
        InvalidProjectError: if the table `[build-system]` is malformed.
    """
    runner = _Runner(source, environment, say)
    try:
        with _warnings_said(say):
            return _build(source, output, runner, say)
    except BuildBackendException as error:
        raise BackendError(
            "building the wheel",
            runner.told() or str(error),
            next_step="mend that; --verbose shows everything that the build printed",
        ) from error
    except (BuildException, InvalidRequirement) as error:
        raise InvalidProjectError(Path("pyproject.toml"), [str(error)]) from error


@contextmanager
def _warnings_said(say: Callable[[str], None]) -> Iterator[None]:
    """Hand over what backends warn of, which is raised anew here as warnings of Python."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                say(f"  warning: {warning.message}")


def _build(source: Path, output: Path, runner: _Runner, say: Callable[[str], None]) -> Path:
    builder = ProjectBuilder(source, runner=runner)
    missing = _missing(builder)
    if not missing:
        say("building with what is installed here; nothing is fetched")
        return Path(builder.build("wheel", output))
    say(f"building in an isolated environment, as {', '.join(missing)} is not installed here")
    return _build_isolated(source, output, runner)


def _missing(builder: ProjectBuilder) -> list[str]:
    """Return the build requirements that this environment lacks.

    The backend is asked for further ones only when it can be imported at all.
    """
    missing = _unmet(builder.build_system_requires)
    return missing or _unmet(builder.get_requires_for_build("wheel"))


def _unmet(requirements: Iterable[str]) -> list[str]:
    return sorted({chain[-1] for one in requirements for chain in check_dependency(one)})


def _build_isolated(source: Path, output: Path, runner: _Runner) -> Path:
    with ExitStack() as stack:
        try:
            isolated = stack.enter_context(DefaultIsolatedEnv())
        except FailedProcessError as error:
            raise BackendError("making an isolated environment", str(error)) from error
        builder = ProjectBuilder.from_isolated_env(isolated, source, runner=runner)
        _install(isolated, builder.build_system_requires)
        _install(isolated, builder.get_requires_for_build("wheel"))
        return Path(builder.build("wheel", output))


def _install(isolated: DefaultIsolatedEnv, requirements: set[str]) -> None:
    wanted = " ".join(sorted(requirements))
    try:
        isolated.install(requirements)
    except CalledProcessError as error:
        said: bytes = error.stderr or error.stdout or b""
        raise BackendError(
            f"installing what the build requires ({wanted})",
            _told(said.decode("utf-8", "replace")),
            next_step=f"go online, or install it beside cloacina-build: pip install {wanted}",
        ) from error


class _Runner:
    """Runs the hooks of a backend and keeps what they print."""

    def __init__(
        self, source: Path, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._source = source
        self._environment = environment
        self._say = say
        self._output = ""

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        done = subprocess.run(
            list(cmd),
            cwd=cwd,
            env={**self._environment, **(extra_environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=_UMASK,
            check=False,
        )
        text = done.stdout.decode("utf-8", "replace")
        self._output = text.replace(f"{self._source}/", "")
        for line in self._output.splitlines():
            self._say(f"  {line}")
        done.check_returncode()

    def told(self) -> str:
        """Return what matters of what the last hook printed."""
        return _told(self._output)


def _told(text: str) -> str:
    """Return twenty lines: from a compiler's first error on, or else the last ones."""
    lines = [f"  {line.rstrip()}" for line in text.splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if _COMPILER_ERROR.search(line)), None)
    shown = lines[-_SHOWN_LINES:] if first is None else lines[first : first + _SHOWN_LINES]
    return "\n".join(shown)
