"""``cloacina-ctl execution``: look at what ran and what runs, changing nothing."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.output import write_json
from cloacina.ctl.report import result_document, result_lines
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.model.states import ExecutionStatus
from cloacina.planner.execution import restored
from cloacina.runner.result import WorkflowResult
from cloacina.store.url import SqliteLocation
from cloacina.store.viewer import Viewer

_Command = TypeVar("_Command", bound=Callable[..., object])


@click.group()
def execution() -> None:
    """Look at what ran and what runs; nothing is started or changed."""


def _shared_options(command: _Command) -> _Command:
    database = click.option(
        "--database", metavar="URL", help="Where runs are kept.  [default: in --home]"
    )
    return database(click.option("--json", "is_json", is_flag=True, help="Write JSON.")(command))


@execution.command("list")
@click.option(
    "--status",
    type=click.Choice([status.value for status in ExecutionStatus], case_sensitive=False),
    help="Only executions that stand there.",
)
@click.option("--workflow", help="Only executions of the workflow of this name.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@_shared_options
@pass_settings
def list_executions(
    settings: Settings,
    *,
    status: str | None,
    workflow: str | None,
    limit: int,
    is_json: bool,
    database: str | None,
) -> None:
    """List executions, the newest first."""
    with _viewer(settings, database) as viewer:
        found = viewer.summaries(status=status, workflow=workflow, limit=limit)
    if is_json:
        write_json([asdict(summary) for summary in found])
        return
    for summary in found:
        name = f"{escaped(summary.package)}::{escaped(summary.workflow)}"
        click.echo(f"{summary.execution_id}  {summary.status:9}  {summary.created_at}  {name}")
    if not found:
        click.echo("no executions", err=True)


@execution.command()
@click.argument("execution_id", metavar="ID")
@_shared_options
@pass_settings
def show(settings: Settings, *, execution_id: str, is_json: bool, database: str | None) -> None:
    """Show one execution as it stands; the beginning of its ID is enough."""
    with _viewer(settings, database) as viewer:
        stored = viewer.find(execution_id)
    result = WorkflowResult(restored(stored))
    package = stored.identity.package
    if is_json:
        write_json(
            {
                **result_document(result, package),
                "package_digest": result.package_digest,
                "start_time": result.start_time,
                "end_time": result.end_time,
                "error_message": result.error_message,
            }
        )
        return
    for line in result_lines(result, package):
        click.echo(line)


def _viewer(settings: Settings, database: str | None) -> Viewer:
    return Viewer(SqliteLocation.parse(database or settings.home.database))
