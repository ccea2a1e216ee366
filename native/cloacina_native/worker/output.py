"""The output streams of a worker: what a task prints leaves at the end of each line.

* A task that replaced or closed `sys.stdout` does not spoil it for the next one.
* Output of C code is not held back either, so the last words before a crash are seen.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress

_LINE_BUFFERED = 1  # _IOLBF, the same in glibc, musl and macOS
_C_STDOUT = "__stdoutp" if sys.platform == "darwin" else "stdout"


class OutputStreams:
    """Standard output and standard error of this process, in Python and in C."""

    def __init__(self) -> None:
        self._python = (_stream(1), _stream(2))
        self._c: _CStdout | None = None

    def restore(self) -> None:
        """Let `sys.stdout` and `sys.stderr` be what they were at the beginning."""
        stdout, stderr = self._python
        self._python = _usable(1, stdout), _usable(2, stderr)
        sys.stdout, sys.stderr = self._python
        if self._c is None and not sys.modules.keys().isdisjoint(("_cffi_backend", "ctypes")):
            self._c = _CStdout()

    def flush(self) -> None:
        """Write out unfinished lines."""
        for stream in (*self._python, sys.stdout, sys.stderr):
            # A task may have closed a stream, or put something else in its place.
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        if self._c is not None:
            self._c.flush()


class _CStdout:
    def __init__(self) -> None:
        import ctypes  # noqa: PLC0415 - only where C code is about; half of a worker needs none

        library = ctypes.CDLL(None)
        self._file = ctypes.c_void_p.in_dll(library, _C_STDOUT)
        self._flush = library.fflush
        library.setvbuf(self._file, None, _LINE_BUFFERED, ctypes.c_size_t(0))

    def flush(self) -> None:
        self._flush(self._file)


def _usable(descriptor: int, stream: io.TextIOWrapper) -> io.TextIOWrapper:
    return _stream(descriptor) if stream.closed else stream


def _stream(descriptor: int) -> io.TextIOWrapper:
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
