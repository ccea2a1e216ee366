"""Start the interpreter of a worker, with nothing of the host's but what is written here.

* Imports: the standard library, the package's directory and `runtime_directories()`; neither
  site-packages nor PYTHON* variables count (-I -S), and no bytecode is written (-B).
* Environment: PATH, LANG, LC_ALL and TZ as the host has them, HOME and TMPDIR in a scratch
  directory, then what the caller adds. Text is UTF-8 whatever the locale says.
* Descriptors: standard input is empty, both outputs are pipes, and beside them the worker has
  one end of a socket and of a pipe that breaks when the host dies.
* The worker leads a session and process group of its own; its working directory is the scratch
  directory, which is removed with the worker (or later, if the host dies; see `scratch`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cloacina_native.errors import WorkerStartError
from cloacina_native.runtime_directories import runtime_directories
from cloacina_native.scratch import Scratch

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ")

_MAIN = Path(__file__).resolve().parent / "worker" / "__main__.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A worker that was just started, and all that the host holds of it.

    Attributes:
        stdout: the descriptor that its standard output is read from; it does not block.
        stderr: the same for standard error.
        lifeline: the end of a pipe whose closing kills the worker's process group.
        max_frame_bytes: what the worker was told of how large frames may be.
    """

    process: subprocess.Popen[bytes]
    sock: socket.socket
    stdout: int
    stderr: int
    lifeline: int
    scratch: Scratch
    max_frame_bytes: int


def launch(
    directory: Path, *, name: str, environment: Mapping[str, str], max_frame_bytes: int
) -> Launched:
    """Start a worker for the package in a directory.

    Raises:
        WorkerStartError: if the system refuses.
        RuntimeMissingError: if this interpreter lacks what workers need.
    """
    homes = [f"{module}={home}" for module, home in runtime_directories().items()]
    with ExitStack() as unwinding:
        try:
            package = directory.resolve(strict=True)
            launched = _spawn(unwinding, [str(package), *homes], environment, max_frame_bytes)
        except OSError as error:
            raise WorkerStartError(name, str(error)) from error
        unwinding.pop_all()
    return launched


def _spawn(
    unwinding: ExitStack,
    arguments: list[str],
    environment: Mapping[str, str],
    max_frame_bytes: int,
) -> Launched:
    scratch = Scratch()
    unwinding.callback(scratch.cleanup)
    sock, worker_sock = socket.socketpair()
    unwinding.callback(sock.close)
    with ExitStack() as given_away:
        given_away.callback(worker_sock.close)
        stdout, worker_stdout = _pipe(unwinding, given_away)
        stderr, worker_stderr = _pipe(unwinding, given_away)
        worker_lifeline, lifeline = os.pipe()
        given_away.callback(os.close, worker_lifeline)
        unwinding.callback(os.close, lifeline)
        inherited = (worker_sock.fileno(), worker_lifeline)
        process = subprocess.Popen(
            [*_interpreter(), *map(str, inherited), str(max_frame_bytes), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=worker_stdout,
            stderr=worker_stderr,
            pass_fds=inherited,
            env=_scrubbed(scratch.name) | dict(environment),
            cwd=scratch.name,
            start_new_session=True,
        )
    return Launched(
        process=process,
        sock=sock,
        stdout=stdout,
        stderr=stderr,
        lifeline=lifeline,
        scratch=scratch,
        max_frame_bytes=max_frame_bytes,
    )


def _interpreter() -> list[str]:
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_MAIN)]


def _pipe(kept: ExitStack, given_away: ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    kept.callback(os.close, reader)
    given_away.callback(os.close, writer)
    os.set_blocking(reader, False)
    return reader, writer


def _scrubbed(scratch: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | {"HOME": scratch, "TMPDIR": scratch}
