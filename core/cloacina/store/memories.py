"""Read back what tasks wait for and stored, and the events that were sent to executions."""

from typing import Final

import sqlalchemy as sa

from cloacina.planner.mailbox import SentEvent
from cloacina.planner.memory import NOTHING_KEPT, OpenWait, Passed, TaskMemory
from cloacina.store.tables import SENT_EVENTS
from cloacina.store.timestamps import from_text
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDocumentError
from cloacina_sdk.json_text import decode
from cloacina_sdk.waiting import LATEST_US, LONGEST_MS, WaitKind

_MOST_EVENTS: Final = 2**31 - 1


def sent_to(connection: sa.Connection, execution_id: str) -> tuple[SentEvent, ...]:
    """Return every event that was sent to an execution, in order."""
    columns = SENT_EVENTS.c
    query = (
        sa.select(columns.seq, columns.name, columns.payload, columns.sent_at)
        .where(columns.execution_id == execution_id)
        .order_by(columns.seq)
    )
    return tuple(
        SentEvent(seq=seq, name=name, payload=payload, at_us=from_text(sent_at))
        for seq, name, payload, sent_at in connection.execute(query).all()
    )


def memory_of(waits: str | None, checkpoint: str | None) -> TaskMemory:
    """Return a task's memory from its columns.

    Raises:
        ValueError: if they do not hold what ``waits_text`` wrote.
    """
    if waits is None:
        return NOTHING_KEPT if checkpoint is None else TaskMemory(checkpoint=checkpoint)
    problems: list[str] = []
    fields = Fields(decode(waits), "$", problems)
    passed = tuple(_read_passed(each) for each in fields.each("passed"))
    raw = fields.value("open", None)
    found = None if raw is None else _read_open(Fields(raw, "$.open", problems))
    fields.close()
    if problems:
        raise InvalidDocumentError("waits of a task", problems)
    return TaskMemory(passed=passed, open=found, checkpoint=checkpoint)


def _read_passed(fields: Fields) -> Passed:
    passed = Passed(
        kind=_kind(fields),
        name=fields.optional_text("name"),
        is_timed_out=fields.boolean("is_timed_out", default=False),
        event=fields.optional_integer("event", lowest=1, highest=_MOST_EVENTS),
    )
    fields.close()
    return passed


def _read_open(fields: Fields) -> OpenWait:
    wait = OpenWait(
        kind=_kind(fields),
        name=fields.optional_text("name"),
        since_us=fields.integer("since_us", highest=LATEST_US),
        until_us=fields.optional_integer("until_us", highest=LATEST_US),
        poll_us=fields.optional_integer("poll_us", highest=LONGEST_MS * 1000),
    )
    fields.close()
    return wait


def _kind(fields: Fields) -> WaitKind:
    return WaitKind(fields.choice("kind", [kind.value for kind in WaitKind]))
