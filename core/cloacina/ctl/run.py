"""``cloacina-ctl run``: run a workflow of a package file, of a project directory, or by name."""

import sys
from typing import IO

import click

from cloacina.ctl.context_input import read_context
from cloacina.ctl.database import database_option, schema_of
from cloacina.ctl.logs import show_logs
from cloacina.ctl.output import write_json
from cloacina.ctl.report import result_document, result_lines
from cloacina.ctl.session import Order, carry_out
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.ctl.target import Target
from cloacina.runner.result import WorkflowResult
from cloacina.runner.sources import DEFAULT, Configuration

_PATIENCE_S = 5.0
"""How long attempts that run may take to end when the command ends."""


@click.command()
@click.argument("target", metavar="FILE|DIR[::WORKFLOW]|WORKFLOW")
@click.option("--context", "context_text", metavar="JSON|@FILE", help="The input: a JSON object.")
@click.option(
    "--follow", is_flag=True, help="Show what happens to tasks, and what they print, at once."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Finish the unfinished runs of this very package instead of starting another one.",
)
@click.option("--json", "is_json", is_flag=True, help="Write JSON; a list for several runs.")
@database_option
@pass_settings
@click.pass_context
def run(
    ctx: click.Context,
    settings: Settings,
    *,
    target: str,
    context_text: str | None,
    follow: bool,
    resume: bool,
    is_json: bool,
    database: str | None,
) -> None:
    """Run a workflow of a package FILE, or of a project DIR that is built on the spot.

    Several workflows are told apart by ::WORKFLOW behind the path. Of a package file that ran here
    before, the name WORKFLOW alone will do (or PACKAGE::WORKFLOW). What a run has done is kept in
    the database: one that was cut off goes on when the same package is run again, which then
    takes until both have ended.
    """
    if resume and context_text is not None:
        raise click.UsageError("--resume goes on with runs that have their context; leave it out")
    show_logs(is_debugging=settings.is_debugging, with_tasks=follow)
    context = read_context(context_text)
    found = settings.configuration(database, schema_of())
    goal = Target.parse(target, settings)
    order = Order(
        target=goal,
        home=settings.home_made(),
        location=found.location,
        config=found.config.copy(**_quick_end(found)),
        context=None if resume else context,
        resume_command=settings.command_line("run", target, "--resume", *_same_place(database)),
    )
    results = carry_out(order, _stream(follow=follow, is_json=is_json))
    _show(results, goal, is_json=is_json)
    ctx.exit(0 if all(result.status == "Completed" for result in results) else 1)


def _quick_end(found: Configuration) -> dict[str, float]:
    """How long attempts that run may take to end, when the command ends and nobody says."""
    is_said = found.sources["shutdown_timeout_seconds"] != DEFAULT
    return {} if is_said else {"shutdown_timeout_seconds": _PATIENCE_S}


def _same_place(database: str | None) -> list[str]:
    given = {"--database": database, "--schema": schema_of()}
    return [word for name, text in given.items() if text is not None for word in (name, text)]


def _stream(*, follow: bool, is_json: bool) -> IO[str] | None:
    """Where progress goes: not where JSON is expected."""
    if not follow:
        return None
    return sys.stderr if is_json else sys.stdout


def _show(results: list[WorkflowResult], goal: Target, *, is_json: bool) -> None:
    if is_json:
        documents = [result_document(result, goal.package) for result in results]
        write_json(documents[0] if len(documents) == 1 else documents)
        return
    for result in results:
        for line in result_lines(result, goal.package):
            click.echo(line)
