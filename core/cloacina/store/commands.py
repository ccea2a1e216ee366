"""The inbox of commands: what other processes want of executions that a runner owns.

A command is answered in the transaction of what it does, so that it takes effect once. One whose
execution nobody owns, or that came too late, is settled by whoever sees it first. What is in the
inbox may have been written by anybody: it is read as text, and judged where it is obeyed.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from cloacina.model.states import Answer
from cloacina.planner.events import Requested, Verdict
from cloacina.store.ownership import has_ended, is_free
from cloacina.store.tables import COMMANDS, EXECUTIONS
from cloacina.store.timestamps import to_text

AT_ONCE: Final = 500
"""How many commands are read in one look: what is left is found by the next."""
_CHARACTERS_AT_ONCE: Final = 64 * 1024 * 1024
"""Likewise how much of what they ask, be it one alone that is longer."""
_KEPT_US: Final = 24 * 3600 * 1_000_000
_REMOVED_AT_ONCE: Final = 100


def leave(connection: sa.Connection, request: Requested, at_us: int) -> None:
    """Put a request with a command id in the inbox; remove a few that were answered long ago."""
    columns = COMMANDS.c
    old = (
        sa.select(columns.id)
        .where(
            columns.id < _first_id(at_us - _KEPT_US),
            columns.answered_at < to_text(max(0, at_us - _KEPT_US)),
        )
        .order_by(columns.id)
        .limit(_REMOVED_AT_ONCE)
    )
    connection.execute(sa.delete(COMMANDS).where(columns.id.in_(old)))
    row = {
        "id": request.command_id,
        "execution_id": request.execution_id,
        "wish": request.wish,
        "argument": request.argument,
        "created_at": to_text(at_us),
    }
    connection.execute(sa.insert(COMMANDS), row)


def open_commands(connection: sa.Connection, runner_id: str) -> list[Requested]:
    """Return the oldest open commands that a runner may obey or settle.

    These are those for what it owns, for what nobody owns, and for what has ended.
    """
    columns = COMMANDS.c
    length = sa.func.coalesce(sa.func.length(columns.argument), 0)
    oldest = (
        sa.select(
            *(columns.id, columns.execution_id, columns.wish, columns.argument),
            sa.func.row_number().over(order_by=columns.id).label("place"),
            sa.func.sum(length).over(order_by=columns.id).label("characters"),
        )
        .join(EXECUTIONS, EXECUTIONS.c.id == columns.execution_id)
        .where(
            columns.answered_at.is_(None),
            sa.or_(EXECUTIONS.c.owner == runner_id, is_free(), has_ended()),
        )
        .order_by(columns.id)
        .limit(AT_ONCE)
        .subquery()
    )
    query = (
        sa.select(oldest.c.id, oldest.c.execution_id, oldest.c.wish, oldest.c.argument)
        .where(sa.or_(oldest.c.characters <= _CHARACTERS_AT_ONCE, oldest.c.place == 1))
        .order_by(oldest.c.id)
    )
    return [
        Requested(
            execution_id=row["execution_id"],
            wish=row["wish"],
            argument=row["argument"],
            command_id=row["id"],
        )
        for row in connection.execute(query).mappings().all()
    ]


def close(connection: sa.Connection, command_id: str, verdict: Verdict, at_us: int) -> None:
    """Answer a command that changes nothing."""
    connection.execute(
        sa.update(COMMANDS)
        .where(COMMANDS.c.id == command_id, COMMANDS.c.answered_at.is_(None))
        .values(
            answered_at=to_text(at_us), answer=verdict.answer.value, detail=verdict.detail or None
        )
    )


def answers(connection: sa.Connection, command_ids: Sequence[str]) -> dict[str, Verdict]:
    """Return the answers to those commands that have one.

    One that was removed together with its execution counts as too late.
    """
    columns = COMMANDS.c
    query = sa.select(columns.id, columns.answer, columns.detail).where(columns.id.in_(command_ids))
    found = {row["id"]: row for row in connection.execute(query).mappings().all()}
    given = {
        command_id: Verdict(Answer(row["answer"]), row["detail"] or "")
        for command_id, row in found.items()
        if row["answer"] is not None
    }
    return given | {each: Verdict(Answer.ENDED) for each in command_ids if each not in found}


def _first_id(at_us: int) -> str:
    """Return what every id of that time or later is at least as great as (RFC 9562, UUIDv7)."""
    text = f"{max(0, at_us) // 1000:012x}"
    return f"{text[:8]}-{text[8:]}"
