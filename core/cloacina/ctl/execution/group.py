"""``cloacina-ctl execution``: its commands, by name."""

import click

from cloacina.ctl.lazy_group import CommandReference, LazyGroup

_COMMANDS = {
    "events": CommandReference(
        "cloacina.ctl.execution.events:events", "Show what happened to an execution, and happens."
    ),
    "list": CommandReference(
        "cloacina.ctl.execution.listing:list_executions", "List executions, the newest first."
    ),
    "show": CommandReference(
        "cloacina.ctl.execution.show:show", "Show one execution as it stands."
    ),
}


@click.group(cls=LazyGroup, references=_COMMANDS)
def execution() -> None:
    """Look at what ran and what runs, and control it."""
