"""``cloacina-ctl execution events``: the history of one execution, line by line."""

import json
from collections.abc import Iterator

import click

from cloacina.ctl.database import location_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import database_option, json_option, open_viewer
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.runner import DefaultRunner
from cloacina.runtime import Runtime
from cloacina.store.events import ExecutionEvent
from cloacina.store.url import PostgresLocation
from cloacina.store.viewer import Viewer


@click.command()
@click.argument("execution_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Go on until the execution has ended.")
@database_option
@json_option
@pass_settings
def events(
    settings: Settings, *, execution_id: str, follow: bool, is_json: bool, database: str | None
) -> None:
    """Show what happened to an execution; the beginning of its ID is enough.

    With --json each event is one JSON object on a line of its own.
    """
    with open_viewer(settings, database) as viewer:
        found = viewer.find(execution_id).identity.execution_id
        if not follow:
            for event in _history(viewer, found):
                _show(event, is_json=is_json)
            return
    with _listener(settings, database) as runner, runner.events(found) as stream:
        for event in stream:
            _show(event, is_json=is_json)


def _listener(settings: Settings, database: str | None) -> DefaultRunner:
    """Return a runner that knows no workflow: it claims nothing, and hears those that work."""
    location = location_of(settings, database)
    config = DefaultRunnerConfig(max_concurrent_tasks=1)
    if isinstance(location, PostgresLocation):
        url, schema = location.url, location.schema
        return DefaultRunner(url, schema=schema, runtime=Runtime(), config=config)
    return DefaultRunner(location.path or ":memory:", runtime=Runtime(), config=config)


def _history(viewer: Viewer, execution_id: str) -> Iterator[ExecutionEvent]:
    after = 0
    while True:
        page = viewer.events(execution_id, after)
        yield from page.events
        if page.is_last:
            return
        after = page.events[-1].sequence


def _show(event: ExecutionEvent, *, is_json: bool) -> None:
    at = f"{event.at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    if is_json:
        document = {
            "sequence": event.sequence,
            "kind": event.kind,
            "task": event.task,
            "at": at,
            "detail": event.detail,
        }
        click.echo(json.dumps(document, ensure_ascii=True))
        return
    words = [f"{event.sequence:>5}", at, event.kind]
    words += [escaped(word) for word in (event.task, event.detail) if word]
    click.echo("  ".join(words))
