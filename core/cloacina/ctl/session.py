"""Run one workflow of one package on a database of this home, or finish runs of it."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO

import click

from cloacina.ctl.exit_codes import INTERRUPTED, USAGE
from cloacina.ctl.failure import Failure
from cloacina.ctl.follow.audience import audience_for
from cloacina.ctl.follow.changes import Change, ChangeFeed
from cloacina.ctl.follow.watch import Watch
from cloacina.ctl.target import Target
from cloacina.errors import DatabaseMissingError
from cloacina.packages.config import PackageConfig
from cloacina.packages.home import Home
from cloacina.planner.events import StoredExecution
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.handle import ExecutionHandle
from cloacina.runner.result import WorkflowResult
from cloacina.runner.runner import DefaultRunner
from cloacina.runtime import Runtime
from cloacina.store.url import Location
from cloacina.store.viewer import Viewer
from cloacina_sdk.context import Context

_COMPLETED = "Completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, where.

    Attributes:
        context: of a new execution; ``None`` to finish the unfinished ones instead.
        resume_command: what to type to go on after an interruption.
    """

    target: Target
    home: Home
    location: Location
    config: DefaultRunnerConfig
    context: Context | None
    resume_command: str


def carry_out(order: Order, stream: IO[str] | None) -> list[WorkflowResult]:
    """Run what was ordered to its end, and show progress on a stream.

    Raises:
        KeyboardInterrupt: if the user stops it; what to do next was said.
        Failure: if there is nothing to finish.
        CloacinaError: if the package cannot be loaded or the database not be used.
    """
    watch = Watch()
    with _runner(order) as runner:
        everything = _unfinished(order)  # nothing is taken over before the package is loaded
        earlier = [stored for stored in everything if _is_of_target(stored, order)]
        if order.context is None and not earlier:
            raise _nothing_to_resume(order)
        runner.add_plugin(ChangeFeed(watch.put))
        runner.load_package(order.target.raw)
        new: list[ExecutionHandle] = []
        if order.context is not None:
            new.append(runner.submit(order.target.workflow.name, order.context))
            earlier = _taken_over(order, earlier)
        handles = [*new, *(runner.handle(stored.identity.execution_id) for stored in earlier)]
        try:
            results = _watched(order, watch, handles, stream, earlier)
            others = [stored for stored in everything if not _is_of_target(stored, order)]
            for stored in _taken_over(order, others):
                runner.handle(stored.identity.execution_id).wait()
        except KeyboardInterrupt:
            _say_how_to_resume(order, handles)
            raise
    for before, result in zip(earlier, results[len(new) :], strict=True):
        _say_what_was_kept(before, result)
    return results[: len(new)] or results


def _runner(order: Order) -> DefaultRunner:
    packages = PackageConfig(
        home=order.home.path,
        trust=order.target.trust,
    )
    return DefaultRunner(order.location, config=order.config, runtime=Runtime(), packages=packages)


def _watched(
    order: Order,
    watch: Watch,
    handles: Sequence[ExecutionHandle],
    stream: IO[str] | None,
    resumed: Sequence[StoredExecution],
) -> list[WorkflowResult]:
    names = {handle.id: handle.id[-8:] for handle in handles}
    if order.context is not None or len(handles) == 1:
        names[handles[0].id] = ""
    known = [change for stored in resumed for change in _completed_before(stored)]
    with audience_for(stream, order.target.workflow, names, watch.began_at_s) as audience:
        return watch.wait(handles, audience, known)


def _nothing_to_resume(order: Order) -> Failure:
    return Failure(
        f"there is nothing to resume: no unfinished run of {order.target.workflow.name!r} "
        "of this very package is in the database",
        steps=["Leave --resume out to start a new one."],
        exit_code=USAGE,
    )


def _unfinished(order: Order) -> list[StoredExecution]:
    try:
        with Viewer(order.location) as viewer:
            return viewer.unfinished(order.target.digest)
    except DatabaseMissingError:  # it is in memory
        return []


def _is_of_target(stored: StoredExecution, order: Order) -> bool:
    return stored.identity.workflow == order.target.workflow.name


def _completed_before(stored: StoredExecution) -> list[Change]:
    return [
        Change(
            execution_id=stored.identity.execution_id,
            task=stored.topology.tasks[task.number].id,
            status=task.status,
            attempt=task.attempt,
            detail="before",
        )
        for task in stored.tasks
        if task.status == _COMPLETED and task.parent is None
    ]


def _say_how_to_resume(order: Order, handles: Sequence[ExecutionHandle]) -> None:
    signal.signal(signal.SIGINT, _leave_at_once)
    ids = ", ".join(handle.id for handle in handles)
    click.echo(f"interrupted: what {ids} has done is kept; go on with it:", err=True)
    click.echo(f"  {order.resume_command}", err=True)
    click.echo("waiting a little for tasks that run; Ctrl-C again to leave at once", err=True)


def _leave_at_once(_signal_number: int, _frame: FrameType | None) -> None:
    """End as a killed process does: what is committed is safe, and workers notice."""
    os._exit(INTERRUPTED)


def _say_what_was_kept(before: StoredExecution, result: WorkflowResult) -> None:
    completed = _completed_before(before)
    after = [(change, result.tasks[change.task]) for change in completed]
    kept = sum(
        task.elements is not None or task.attempts == change.attempt for change, task in after
    )
    tasks = "1 task was" if kept == 1 else f"{kept} tasks were"
    click.echo(f"resumed execution {result.execution_id}: {tasks} not run again", err=True)


def _taken_over(order: Order, earlier: Sequence[StoredExecution]) -> list[StoredExecution]:
    """Return, and say, which executions this process has to finish beside the one it was asked for.

    Leaving them after the first had ended would cut their running tasks off once more.
    """
    if not earlier:
        return []
    with Viewer(order.location) as viewer:
        found = [
            stored
            for stored in earlier
            if viewer.find(stored.identity.execution_id).epoch > stored.epoch
        ]
    if found:
        runs = "1 unfinished run" if len(found) == 1 else f"{len(found)} unfinished runs"
        click.echo(
            f"{runs} of this package, cut off earlier, {'was' if len(found) == 1 else 'were'} "
            "taken over; this command ends when all is finished",
            err=True,
        )
    return found
