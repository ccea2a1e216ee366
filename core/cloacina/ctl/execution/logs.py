"""``cloacina-ctl execution logs``: what the tasks of an execution printed and logged."""

import logging
from dataclasses import asdict

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import database_option, json_option, open_viewer
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.store.log_reader import TaskLog


@click.command()
@click.argument("execution_id", metavar="ID")
@click.argument("task", required=False)
@click.option("--attempt", type=click.IntRange(min=1), help="Only attempts of this number.")
@database_option
@json_option
@pass_settings
def logs(
    settings: Settings,
    *,
    execution_id: str,
    task: str | None,
    attempt: int | None,
    is_json: bool,
    database: str | None,
) -> None:
    """Show what tasks said, all or one TASK; the beginning of the execution's ID is enough."""
    with open_viewer(settings, database) as viewer:
        found = viewer.logs(execution_id, task, attempt)
    if is_json:
        write_json([asdict(line) for line in found])
        return
    for line in found:
        for text in _lines(line):
            click.echo(text)
    if not found:
        click.echo("nothing was said", err=True)


def _lines(line: TaskLog) -> list[str]:
    task = escaped(line.task) if line.element is None else f"{escaped(line.task)}[{line.element}]"
    name = task if line.attempt == 1 else f"{task} (attempt {line.attempt})"
    kind = line.source
    if line.logger:
        kind = f"{logging.getLevelName(line.level).lower()} {escaped(line.logger)}"
    texts = line.text.splitlines() or [""]
    return [f"{line.at}  {name}  {kind}: {escaped(text)}" for text in texts]
