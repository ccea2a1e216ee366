"""``cloacina-ctl execution cancel|pause|resume``: ask it of whichever runner has an execution.

This process joins the runners on the database for a moment, with no workflow to offer, so that it
begins nothing. What is asked is durable: if it is not done in time, it is done later.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from cloacina.ctl.database import database_option, schema_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.execution.visitor import visitor
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.errors import WaitTimeoutError
from cloacina.model.states import ExecutionStatus, TaskStatus
from cloacina.ownership.roll_call import call_the_roll
from cloacina.planner.events import StoredExecution
from cloacina.runner.runner import DefaultRunner
from cloacina.store.viewer import Viewer

_PATIENCE_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Something to ask of an execution.

    Attributes:
        name: of the command.
        ask: asks it.
        is_done: says of a status whether it is done.
        done: the end of a sentence about an execution where it is done.
    """

    name: str
    ask: Callable[[DefaultRunner, str], object]
    is_done: Callable[[ExecutionStatus], bool]
    done: str


_CANCEL: Final = _Wish(
    name="cancel",
    ask=lambda runner, execution_id: runner.cancel(execution_id),
    is_done=lambda status: status is ExecutionStatus.CANCELLED,
    done="is cancelled",
)
_PAUSE: Final = _Wish(
    name="pause",
    ask=lambda runner, execution_id: runner.pause(execution_id),
    is_done=lambda status: status is ExecutionStatus.PAUSED,
    done="is paused: nothing more of it is started, and what runs goes on",
)
_RESUME: Final = _Wish(
    name="resume",
    ask=lambda runner, execution_id: runner.resume(execution_id),
    is_done=lambda status: status is not ExecutionStatus.PAUSED,
    done="is not paused: it goes on where a runner has its workflow",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of a wish, and where the execution stands now."""

    execution_id: str
    asked: str
    is_done: bool
    status: ExecutionStatus


def _controlling(command: Callable[..., None]) -> click.Command:
    """Make a command of a function that hands its arguments to ``_carry_out``."""
    wait = click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(min=0, max=86_400),
        default=_PATIENCE_S,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait until it is done.",
    )
    argument = click.argument("prefix", metavar="ID")
    return click.command()(argument(wait(database_option(json_option(pass_settings(command))))))


@_controlling
def cancel(settings: Settings, **asked: Any) -> None:
    """End an execution; the beginning of its ID is enough.

    Nothing more of it is started; what runs is asked to end, and then made to. Exits with 1 if it
    had ended otherwise before, or is not cancelled in time; in the latter case it will be.
    """
    _carry_out(settings, _CANCEL, **asked)


@_controlling
def pause(settings: Settings, **asked: Any) -> None:
    """Start nothing more of an execution until it is resumed; what runs goes on.

    The beginning of its ID is enough. Exits with 1 if it has ended, or is not paused in time; in
    the latter case it will be.
    """
    _carry_out(settings, _PAUSE, **asked)


@_controlling
def resume(settings: Settings, **asked: Any) -> None:
    """Let a paused execution go on, in the runner that has it or in the next that can.

    The beginning of its ID is enough. Exits with 1 if it has ended, or is not resumed in time; in
    the latter case it will be.
    """
    _carry_out(settings, _RESUME, **asked)


def _carry_out(
    settings: Settings,
    wish: _Wish,
    *,
    prefix: str,
    wait_s: float,
    database: str | None,
    is_json: bool,
) -> None:
    until = time.monotonic() + wait_s
    configuration = settings.configuration(database, schema_of())
    with Viewer(configuration.location) as viewer:  # nothing is made, and nothing upgraded
        found = viewer.find(prefix)
    execution_id, before = found.identity.execution_id, ExecutionStatus(found.status)
    status = before
    is_late = before.is_final and not (wish is _CANCEL and wish.is_done(before))
    if not is_late and not wish.is_done(before):
        alive = any(each.is_alive for each in call_the_roll(configuration.location).runners)
        with visitor(settings, configuration) as runner:
            wish.ask(runner, execution_id)
            status = _awaited(runner, wish, execution_id, until if alive else time.monotonic())
    is_done = wish.is_done(status) and not is_late
    with Viewer(configuration.location) as viewer:
        remarks = _remarks(viewer.find(execution_id)) if wish is _CANCEL else {}
    if is_json:
        outcome = _Outcome(
            execution_id=execution_id, asked=wish.name, is_done=is_done, status=status
        )
        write_json({**asdict(outcome), **({"reasons": remarks} if wish is _CANCEL else {})})
    else:
        said = _sentence(wish, before, status) if not is_late else _too_late(before)
        click.echo(f"execution {execution_id} {said}")
        for task, reason in remarks.items():
            click.echo(f"  {escaped(task)}: {escaped(reason)}")
    click.get_current_context().exit(0 if is_done else 1)


def _remarks(stored: StoredExecution) -> dict[str, str]:
    """Return what is to be said of attempts that were cancelled, such as that they go on."""
    return {
        stored.name(task.number): task.reason
        for task in stored.tasks
        if task.status == TaskStatus.CANCELLED and task.reason
    }


def _awaited(
    runner: DefaultRunner, wish: _Wish, execution_id: str, until: float
) -> ExecutionStatus:
    """Return where an execution stands once the wish is done, it has ended, or time is up."""
    if wish is _CANCEL:
        with suppress(WaitTimeoutError):
            runner.handle(execution_id).wait(max(0.0, until - time.monotonic()))
    while True:
        status = ExecutionStatus(runner.execution(execution_id).status)
        if wish.is_done(status) or status.is_final or time.monotonic() >= until:
            return status
        time.sleep(_LOOK_EVERY_S)  # of an end a runner tells the others, of a pause nobody does


def _too_late(before: ExecutionStatus) -> str:
    return f"had ended before, as {before}; nothing was changed"


def _sentence(wish: _Wish, before: ExecutionStatus, status: ExecutionStatus) -> str:
    if wish.is_done(status):
        return f"{wish.done} (it was so already)" if wish.is_done(before) else wish.done
    if status.is_final:
        return f"ended as {status} before it could be done"
    return f"is {status}: the runner that has it, or takes it next, will {wish.name} it"
