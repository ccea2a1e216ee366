"""``cloacina-ctl execution show``: one execution, task by task."""

import click

from cloacina.ctl.execution.options import database_option, json_option, open_viewer
from cloacina.ctl.output import write_json
from cloacina.ctl.report import result_document, result_lines
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.planner.restore import restored
from cloacina.runner.result import WorkflowResult


@click.command()
@click.argument("execution_id", metavar="ID")
@database_option
@json_option
@pass_settings
def show(settings: Settings, *, execution_id: str, is_json: bool, database: str | None) -> None:
    """Show one execution as it stands; the beginning of its ID is enough."""
    with open_viewer(settings, database) as viewer:
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
