"""Make packages on disk, start workers for them and run their tasks, for tests."""

import os
import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import TypeAlias

from cloacina_native.log_lines import LogLine, LogSource
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Wait

PACKAGE = "acme"
MODULE = "acme_tasks"
DEADLINE_S = 20.0

Outcome: TypeAlias = Changes | TaskFailure | Wait


def write_package(directory: Path, body: str, *, head: str = "", is_async: bool = False) -> Path:
    """Write a package with one task, `act(context)`, of the given body."""
    kind = "async def" if is_async else "def"
    source = "from cloacina_sdk import task\n{}\n@task(retry_attempts=1)\n{} act(context):\n{}\n"
    text = source.format(dedent(head), kind, indent(dedent(body).strip("\n"), "    "))
    return write_module(directory, text)


def write_handled(directory: Path, body: str, *, head: str = "", is_async: bool = False) -> Path:
    """Write a package with one task, `act(context, handle)`; `await` is left out of sync bodies."""
    text = dedent(body).strip("\n")
    text = text if is_async else text.replace("await ", "")
    kind = "async def" if is_async else "def"
    source = (
        "from cloacina_sdk import *\n{}\n@task(retry_attempts=1)\n{} act(context, handle):\n{}\n"
    )
    return write_module(directory, source.format(dedent(head), kind, indent(text, "    ")))


def write_module(directory: Path, source: str, *, module: str = MODULE) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{module}.py").write_text(dedent(source))
    return directory


@contextmanager
def worker_of(directory: Path, **environment: str) -> Iterator[WorkerProcess]:
    """A worker that has loaded the package in a directory."""
    with WorkerProcess.start(directory, name=PACKAGE, environment=environment) as worker:
        worker.load(PACKAGE, [MODULE])
        yield worker


def request(
    texts: Mapping[str, str] | None = None, *, task: str = "act", number: int = 1
) -> RunRequest:
    return RunRequest(
        token=f"token-{number}",
        workflow=PACKAGE,
        task=task,
        attempt=1,
        execution_id="execution-1",
        texts=texts or {},
    )


class Recorder(list[LogLine]):
    """Keeps the lines that an attempt said."""

    def __call__(self, line: LogLine) -> None:
        self.append(line)

    def of(self, source: LogSource) -> list[str]:
        return [line.text for line in self if line.source is source]


def act(
    worker: WorkerProcess,
    texts: Mapping[str, str] | None = None,
    *,
    task: str = "act",
    lines: Recorder | None = None,
) -> Outcome:
    """Run the task once."""
    return worker.run(request(texts, task=task), Recorder() if lines is None else lines)


def wait_for_end(worker: WorkerProcess) -> None:
    """Wait until the process ended by itself; it is not reaped yet."""
    descriptor = os.pidfd_open(worker.pid)
    try:
        assert select.select([descriptor], [], [], DEADLINE_S)[0], "it did not end"
    finally:
        os.close(descriptor)


@contextmanager
def held_by_a_worker(fifo: Path) -> Iterator[int]:
    """A descriptor for `wait_for_nobody`; a task opens the FIFO for writing and keeps it."""
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def wait_for_nobody(descriptor: int) -> None:
    """Wait until every process that had opened the FIFO is gone."""
    assert select.select([descriptor], [], [], DEADLINE_S)[0], "somebody still holds it"
    assert os.read(descriptor, 1) == b""


def exit_status(worker: WorkerProcess) -> int | None:
    return worker._launched.process.returncode


def assigned(outcome: Outcome) -> dict[str, str]:
    assert isinstance(outcome, Changes), outcome
    return dict(outcome.assigned)


def failure(outcome: Outcome) -> TaskFailure:
    assert isinstance(outcome, TaskFailure), outcome
    return outcome
