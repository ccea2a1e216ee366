"""``cloacina-ctl execution why``: why an execution, or a task of it, does not run."""

import time
from dataclasses import asdict

import click

from cloacina.ctl.database import location_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import database_option, json_option
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.runner.explaining import explain
from cloacina.store.viewer import Viewer


@click.command()
@click.argument("execution_id", metavar="ID")
@click.argument("task", metavar="[TASK]", required=False)
@database_option
@json_option
@pass_settings
def why(
    settings: Settings, *, execution_id: str, task: str | None, is_json: bool, database: str | None
) -> None:
    """Say why an execution, or one of its tasks, does not run, and what would change that.

    The beginning of the ID is enough.
    """
    location = location_of(settings, database)
    with Viewer(location) as viewer:
        stored = viewer.find(execution_id)
        owner = viewer.owner(stored.identity.execution_id)
        now_us = time.time_ns() // 1000
        limits = viewer.used_up(stored, now_us)
    found = explain(stored, owner, task=task, location=location, now_us=now_us, limits=limits)
    if is_json:
        write_json({**asdict(found), "execution_id": stored.identity.execution_id})
        return
    click.echo(f"{found.reason}: {escaped(found.sentence)}")
    if found.unblock:
        click.echo(f"  {escaped(found.unblock)}")
