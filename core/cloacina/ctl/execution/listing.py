"""``cloacina-ctl execution list``: what ran and what runs, a line for each."""

from dataclasses import asdict

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import database_option, json_option, open_viewer
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.model.states import ExecutionStatus


@click.command("list")
@click.option(
    "--status",
    type=click.Choice([status.value for status in ExecutionStatus], case_sensitive=False),
    help="Only executions that stand there.",
)
@click.option("--workflow", help="Only executions of the workflow of this name.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@database_option
@json_option
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
    with open_viewer(settings, database) as viewer:
        found = viewer.summaries(status=status, workflow=workflow, limit=limit)
    if is_json:
        write_json([asdict(summary) for summary in found])
        return
    for summary in found:
        name = f"{escaped(summary.package)}::{escaped(summary.workflow)}"
        click.echo(f"{summary.execution_id}  {summary.status:9}  {summary.created_at}  {name}")
    if not found:
        click.echo("no executions", err=True)
