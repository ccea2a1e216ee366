"""Answers to the commands in the inbox."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.text import moment, plain


class CommandReply(NamedTuple):
    """The answer to a command, unless it was answered already."""

    answered_at: str
    answer: str
    detail: str | None
    id: str


def replies(execution: ExecutionState) -> list[CommandReply]:
    """Return the answers to commands."""
    return [
        CommandReply(
            moment(reply.at_us),
            reply.verdict.answer,
            plain(reply.verdict.detail) or None,
            reply.command_id,
        )
        for reply in execution.unsaved.replies
    ]
