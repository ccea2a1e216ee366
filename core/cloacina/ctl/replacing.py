"""Put a file in the place of another at once: readers see the old or the new one, never a part."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, raw: bytes) -> None:
    """Write ``raw`` to ``path``, durably; a file that was there gives the new one its mode.

    Raises:
        OSError: if it cannot be written; what was there is untouched.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync_directory(path: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows has nothing like it
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
