"""The inbox of commands: what other processes want of executions that a runner owns.

A command stays open until its effect is committed. Every wish is idempotent, so one that is obeyed
twice because the answer was lost in between does no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloacina.model.states import Wish
from cloacina.store.tables import COMMANDS
from cloacina.store.timestamps import to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One wish that nobody has answered yet."""

    id: str
    execution_id: str
    wish: Wish


def leave(
    connection: sa.Connection, command_id: str, execution_id: str, wish: Wish, at_us: int
) -> None:
    """Put a command in the inbox."""
    row = {
        "id": command_id,
        "execution_id": execution_id,
        "wish": wish.value,
        "created_at": to_text(at_us),
    }
    connection.execute(sa.insert(COMMANDS), row)


def open_commands(connection: sa.Connection) -> list[Command]:
    """Return the commands that are not answered, oldest first."""
    columns = COMMANDS.c
    query = (
        sa.select(columns.id, columns.execution_id, columns.wish)
        .where(columns.answered_at.is_(None))
        .order_by(columns.id)
    )
    rows = connection.execute(query).mappings().all()
    return [
        Command(id=row["id"], execution_id=row["execution_id"], wish=Wish(row["wish"]))
        for row in rows
    ]


def close(connection: sa.Connection, command_ids: Sequence[str], at_us: int) -> None:
    """Answer commands whose effect is committed."""
    connection.execute(
        sa.update(COMMANDS)
        .where(COMMANDS.c.id.in_(command_ids))
        .values(answered_at=to_text(at_us), answer="done")
    )


def is_open(connection: sa.Connection, command_id: str) -> bool:
    """Whether a command still waits for its answer."""
    query = sa.select(COMMANDS.c.answered_at).where(COMMANDS.c.id == command_id)
    return connection.execute(query).scalar_one() is None
