"""``cloacina-ctl execution``: its commands, by name."""

import click

from cloacina.ctl.lazy_group import CommandReference, LazyGroup

_COMMANDS = {
    "list": CommandReference(
        "cloacina.ctl.execution.listing:list_executions", "List executions, the newest first."
    ),
    "show": CommandReference(
        "cloacina.ctl.execution.show:show", "Show one execution as it stands."
    ),
    "why": CommandReference(
        "cloacina.ctl.execution.why:why", "Say why an execution, or a task of it, does not run."
    ),
}


@click.group(cls=LazyGroup, references=_COMMANDS)
def execution() -> None:
    """Look at what ran and what runs, and control it."""
