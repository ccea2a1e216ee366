"""A process to be killed: submits its share of runs and waits for them, again after each death."""

import os
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crash.load import define, shape_of
from crash.side_file import SideFile
from engine.databases import Where

if TYPE_CHECKING:
    from cloacina import DefaultRunner, ExecutionHandle

_TRY_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process is to do.

    Attributes:
        where: the database.
        side: the side file.
        errors: the file that its standard error goes to.
        runs: the runs that it submits.
    """

    where: Where
    side: Path
    errors: Path
    runs: range


def work(share: Share, harness: Connection) -> None:
    """Do it, say "done", and stay for the others until the other end is closed."""
    descriptor = os.open(share.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, sys.stderr.fileno())
    try:
        _work(share, harness)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise


def _submitted(runner: "DefaultRunner", run: int) -> "ExecutionHandle":
    """Submit a run, again and again while the database cannot be reached: its key makes it one."""
    from cloacina.errors import StoreUnavailableError

    while True:
        try:
            return runner.submit(shape_of(run), {"run": run}, idempotency_key=f"run {run}")
        except StoreUnavailableError:
            time.sleep(_TRY_AGAIN_S)


def _work(share: Share, harness: Connection) -> None:
    from cloacina import DefaultRunner, DefaultRunnerConfig

    side = SideFile(share.side)
    define(side)
    config = DefaultRunnerConfig(
        max_concurrent_tasks=3, lease_seconds=1.5, heartbeat_seconds=0.3, backstop_seconds=1
    )
    with DefaultRunner(share.where.url, config=config) as runner:
        harness.send("began")
        handles = []
        for run in share.runs:
            handle = _submitted(runner, run)
            side.accepted(run, handle.id)
            handles.append(handle)
        for handle in handles:
            handle.wait(60)
        harness.send("done")
        harness.poll(None)
