"""Writing the finished package: all of it, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from cloacina_build.errors import OutputError


def check_target(path: Path) -> None:
    """Tell early, before a long build, that a file cannot be written.

    Raises:
        OutputError: if the path is a directory, or lies in none.
    """
    if path.is_dir():
        raise OutputError(path, "it is a directory", next_step="name a file: -o NAME.cloacina")
    if not path.parent.is_dir():
        raise OutputError(path, f"there is no directory {path.parent}")


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file, or replace it, so that nobody ever sees a part of it.

    Raises:
        OutputError: if it cannot be written; an earlier file is then as it was.
    """
    beside = path.with_name(f".cloacina-build-{os.getpid()}.new")
    try:
        file = beside.open("xb")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(path, f"it cannot be written: {error.strerror}")
