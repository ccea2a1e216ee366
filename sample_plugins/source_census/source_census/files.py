"""Which files are counted, and how they are shared out."""

import os
import sysconfig
from collections.abc import Iterable
from heapq import heapify, heapreplace
from pathlib import Path

SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages"})


def standard_library() -> str:
    """Return the directory of the standard library of the running Python."""
    return sysconfig.get_path("stdlib")


def python_files(directory: Path) -> list[tuple[str, int]]:
    """Return the path below the directory and the size of every Python file, sorted by path."""
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory")
    found: list[tuple[str, int]] = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths = (Path(folder, name) for name in names if name.endswith(".py"))
        found += [
            (path.relative_to(directory).as_posix(), path.stat().st_size)
            for path in paths
            if path.is_file()
        ]
    return sorted(found)


def balanced(files: Iterable[tuple[str, int]], chunks: int) -> list[list[str]]:
    """Share files out so that all chunks have about as many bytes: the next largest file goes
    to the chunk that has least.
    """
    shared: list[list[str]] = [[] for _ in range(chunks)]
    loads = [(0, number) for number in range(chunks)]
    heapify(loads)
    for path, size in sorted(files, key=lambda file: (-file[1], file[0])):
        load, number = loads[0]
        shared[number].append(path)
        heapreplace(loads, (load + size, number))
    return shared
