"""Unpacked packages, by digest: written once, read-only, and checked before each use.

* Files are written from the verified bytes, into a temporary directory that is renamed when it is
  complete and on disk; a crash leaves nothing under a digest.
* Directories are for their owner alone: what a package holds is nobody else's business.
* A path is never used for other contents: the interpreter and the loader would hand back old code.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloacina.packages.refusal import PackageChangedError
from cloacina.packages.verify import VerifiedPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A package on disk: where its modules lie, and the sha256 of every file by relative path."""

    digest: str
    directory: Path
    hashes: Mapping[str, str]

    def check(self) -> None:
        """Compare every file with what was verified.

        Raises:
            PackageChangedError: naming the first file that differs, is missing or was added.
        """
        found = {
            path.relative_to(self.directory).as_posix(): path for path in _files(self.directory)
        }
        for name in sorted(found.keys() ^ self.hashes.keys()):
            raise PackageChangedError(self.digest, self.directory, name)
        for name, expected in self.hashes.items():
            if hashlib.sha256(found[name].read_bytes()).hexdigest() != expected:
                raise PackageChangedError(self.digest, self.directory, name)


def unpack(package: VerifiedPackage, store: Path) -> Unpacked:
    """Put a verified package's files under ``store``, unless they are there already.

    Raises:
        PackageChangedError: if they are there and differ.
        OSError: if they cannot be written.
    """
    contents = {name: content for wheel in package.wheels for name, content in wheel.files.items()}
    unpacked = Unpacked(
        digest=package.digest,
        directory=store / package.digest.removeprefix("sha256:"),
        hashes={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    )
    if not unpacked.directory.exists():
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        store.mkdir(mode=0o700, exist_ok=True)
        _write(contents, unpacked.directory)
    unpacked.check()
    return unpacked


def _write(contents: Mapping[str, bytes], target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        for name, content in contents.items():
            path = temporary / name
            _make_directories(path.parent)
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.chmod(0o555 if path.suffix == ".so" else 0o444)
        for directory, _, _ in os.walk(temporary, topdown=False):
            _sync_directory(Path(directory))
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another process unpacked the same digest just now
                raise
        _sync_directory(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_directories(path: Path) -> None:
    """Make a directory and those above it for their owner alone; ``mkdir`` does so for the last."""
    if not path.is_dir():
        _make_directories(path.parent)
        path.mkdir(mode=0o700)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
