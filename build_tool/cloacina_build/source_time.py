"""The time that stands for a project's source wherever a build wants to write one.

It has to be the same on every machine and day: `SOURCE_DATE_EPOCH` if the caller sets it, else
the time of the last commit that touched the project, else the first that a ZIP can hold.

Source: the specification of SOURCE_DATE_EPOCH, reproducible-builds.org.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cloacina_build.errors import InvalidSourceTimeError

EARLIEST_S = 315_532_800
"""1980-01-01T00:00:00Z in seconds since 1970."""

LATEST_S = 253_402_300_799
"""The last second that RFC 3339 can spell."""

_DIGITS = re.compile(r"[0-9]{1,15}")
_GIT = (
    "git",
    "-c",
    "safe.directory=*",  # whoever builds a project runs its code anyway
    "-c",
    "log.showSignature=false",
)


def source_time_s(directory: Path, environment: Mapping[str, str]) -> int:
    """Return the time of a project in seconds since 1970.

    The last commit that touched the directory counts, not the last of the repository: another
    project beside it must not change what this one is built to.

    Raises:
        InvalidSourceTimeError: if the variable holds no number of seconds.
    """
    given = environment.get("SOURCE_DATE_EPOCH")
    if given is not None and not _DIGITS.fullmatch(given):
        raise InvalidSourceTimeError(given)
    seconds = int(given or _last_commit(directory, environment) or 0)
    return min(max(seconds, EARLIEST_S), LATEST_S)


def rfc3339(seconds: int) -> str:
    """Return a time as the manifest spells it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _last_commit(directory: Path, environment: Mapping[str, str]) -> str:
    # In a hook of git these variables name another repository.
    plain = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            [*_GIT, "-C", str(directory), "log", "-1", "--format=%ct", "--", "."],
            capture_output=True,
            text=True,
            check=False,
            env=plain,
        )
    except FileNotFoundError:
        return ""  # no git on this machine
    return answer.stdout.strip() if answer.returncode == 0 else ""
