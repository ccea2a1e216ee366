"""``cloacina-ctl execution events``: the history of one execution, line by line."""

import json
from collections.abc import Iterator

import click

from cloacina.ctl.database import schema_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import database_option, json_option, open_viewer
from cloacina.ctl.execution.visitor import visitor
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.store.events import ExecutionEvent
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
    configuration = settings.configuration(database, schema_of())
    with visitor(settings, configuration) as runner, runner.events(found) as stream:
        for event in stream:
            _show(event, is_json=is_json)


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
            "element": event.element,
            "at": at,
            "detail": event.detail,
        }
        click.echo(json.dumps(document, ensure_ascii=True))
        return
    words = [f"{event.sequence:>5}", at, event.kind]
    words += [escaped(word) for word in (_subject(event), event.detail) if word]
    click.echo("  ".join(words))


def _subject(event: ExecutionEvent) -> str | None:
    return event.task if event.element is None else f"{event.task}[{event.element}]"
