"""``cloacina-ctl execution send``: send an event to an execution, whichever runner has it."""

from dataclasses import asdict, dataclass
from typing import Final

import click

from cloacina.ctl.database import database_option, schema_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.execution.visitor import visitor
from cloacina.ctl.exit_codes import USAGE
from cloacina.ctl.failure import Failure
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.model.states import Answer
from cloacina.store.viewer import Viewer
from cloacina_sdk.errors import InvalidJsonError
from cloacina_sdk.json_text import JsonValue, decode

_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of an event."""

    execution_id: str
    event: str
    answer: Answer


@click.command()
@click.argument("prefix", metavar="ID")
@click.argument("name", metavar="NAME")
@click.option("--payload", metavar="JSON", help="What comes with it: any JSON value.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, max=86_400),
    default=_PATIENCE_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the runner that has the execution answers.",
)
@database_option
@json_option
@pass_settings
def send(
    settings: Settings,
    *,
    prefix: str,
    name: str,
    payload: str | None,
    wait_s: float,
    database: str | None,
    is_json: bool,
) -> None:
    """Send an event to an execution, whose tasks may wait for it, now or later.

    The beginning of its ID is enough. Exits with 1 if the execution has ended, or if its runner does
    not answer in time; in the latter case the event is there when it does.
    """
    value = _value_of(payload)
    configuration = settings.configuration(database, schema_of())
    with Viewer(configuration.location) as viewer:  # nothing is made, and nothing upgraded
        execution_id = viewer.find(prefix).identity.execution_id
    with visitor(settings, configuration) as runner:
        answer = runner.send_event(execution_id, name, value, timeout=wait_s)
    if is_json:
        write_json(asdict(_Outcome(execution_id=execution_id, event=name, answer=answer)))
    else:
        said = _SENTENCES[answer]
        click.echo(f"event {escaped(repr(name))} {said} {execution_id}")
    click.get_current_context().exit(0 if answer is Answer.GRANTED else 1)


_SENTENCES: Final = {
    Answer.GRANTED: "was sent to execution",
    Answer.UNCHANGED: "changes nothing for execution",
    Answer.ENDING: "was not sent, as it is being stopped: execution",
    Answer.ENDED: "was not sent, as it had ended before: execution",
    Answer.REFUSED: "was refused by execution",
    Answer.LEFT: "is left for the runner that has execution",
}


def _value_of(payload: str | None) -> JsonValue:
    if payload is None:
        return None
    try:
        return decode(payload)
    except InvalidJsonError as error:
        raise Failure(
            f"the payload is not JSON: {error.reason}",
            steps=["""Write it like --payload '{"by": "me"}', or --payload '"a text"'"""],
            exit_code=USAGE,
        ) from error
