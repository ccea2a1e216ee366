"""``cloacina-ctl execution retry``: have an execution run again that failed or was cancelled."""

import click

from cloacina.ctl.database import database_option, schema_of
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.execution.visitor import visitor
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.store.viewer import Viewer


@click.command()
@click.argument("prefix", metavar="ID")
@click.option("--all", "is_all", is_flag=True, help="Run every task again, not only what failed.")
@database_option
@json_option
@pass_settings
def retry(
    settings: Settings, *, prefix: str, is_all: bool, is_json: bool, database: str | None
) -> None:
    """Have an execution run again that failed or was cancelled.

    What failed or was cancelled runs again, and what depends on it; all other outputs are kept. It
    runs in the runner that knows its workflow, now or when one comes. The beginning of the ID is
    enough.
    """
    configuration = settings.configuration(database, schema_of())
    with Viewer(configuration.location) as viewer:  # nothing is made, and nothing upgraded
        execution_id = viewer.find(prefix).identity.execution_id
    with visitor(settings, configuration) as runner:
        runner.retry_execution(execution_id, from_failed=not is_all)
        status = runner.execution(execution_id).status
    if is_json:
        write_json({"execution_id": execution_id, "status": status})
    else:
        click.echo(
            f"execution {execution_id} is {status} again: it goes on where a runner has its workflow"
        )
