"""``cloacina-ctl execution``: its commands, by name."""

import click

from cloacina.ctl.lazy_group import CommandReference, LazyGroup

_COMMANDS = {
    "cancel": CommandReference("cloacina.ctl.execution.control:cancel", "End an execution."),
    "events": CommandReference(
        "cloacina.ctl.execution.events:events", "Show what happened to an execution, and happens."
    ),
    "list": CommandReference(
        "cloacina.ctl.execution.listing:list_executions", "List executions, the newest first."
    ),
    "logs": CommandReference(
        "cloacina.ctl.execution.logs:logs", "Show what the tasks of an execution said."
    ),
    "pause": CommandReference(
        "cloacina.ctl.execution.control:pause", "Start nothing more of an execution for now."
    ),
    "resume": CommandReference(
        "cloacina.ctl.execution.control:resume", "Go on with a paused execution."
    ),
    "retry": CommandReference(
        "cloacina.ctl.execution.retry:retry", "Run an execution again that did not complete."
    ),
    "send": CommandReference("cloacina.ctl.execution.send:send", "Send an event to an execution."),
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
