"""``cloacina-ctl execution``: its commands, by name."""

import click

from cloacina.ctl.lazy_group import CommandReference, LazyGroup

_COMMANDS = {
    "list": CommandReference(
        "cloacina.ctl.execution.listing:list_executions", "List executions, the newest first."
    ),
    "logs": CommandReference(
        "cloacina.ctl.execution.logs:logs", "Show what the tasks of an execution said."
    ),
    "show": CommandReference(
        "cloacina.ctl.execution.show:show", "Show one execution as it stands."
    ),
}


@click.group(cls=LazyGroup, references=_COMMANDS)
def execution() -> None:
    """Look at what ran and what runs, and control it."""
