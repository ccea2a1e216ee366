"""The rows of what tasks wait for and stored, and of the events that were sent to executions."""

from typing import NamedTuple

import sqlalchemy as sa

from cloacina.planner.execution import ExecutionState
from cloacina.planner.mailbox import SentEvent
from cloacina.planner.memory import NOTHING_KEPT, OpenWait, Passed, TaskMemory
from cloacina.store.tables import SENT_EVENTS
from cloacina.store.timestamps import from_text, to_text
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDocumentError
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.waiting import LATEST_US, LONGEST_MS, WaitKind

_MOST_EVENTS = 2**31 - 1


class MemoryRow(NamedTuple):
    """A change of a task's memory; what else changed of the task is written before."""

    waits: str | None
    checkpoint: str | None
    execution_id: str
    number: int
    attempt: int


class NewSentEvent(NamedTuple):
    """An event that was sent to an execution."""

    execution_id: str
    seq: int
    name: str
    payload: str | None
    sent_at: str


def memory_rows(execution: ExecutionState) -> list[MemoryRow]:
    """Return the memories that changed."""
    return [
        MemoryRow(
            waits_text(task.memory),
            task.memory.checkpoint,
            execution.id,
            task.number,
            task.attempt,
        )
        for task in execution.unsaved.memories.values()
    ]


def new_sent_events(execution: ExecutionState) -> list[NewSentEvent]:
    """Return the events that were sent since the last commit."""
    return [
        NewSentEvent(execution.id, each.seq, each.name, each.payload, to_text(each.at_us))
        for each in execution.unsaved.sent
    ]


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


def waits_text(memory: TaskMemory) -> str | None:
    """Return the waits of a task as JSON text; ``None`` for a task that never waited."""
    if not memory.passed and memory.open is None:
        return None
    document: dict[str, JsonValue] = {"passed": [_passed_document(p) for p in memory.passed]}
    if memory.open is not None:
        document["open"] = _open_document(memory.open)
    return encode(document)


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
        raise InvalidDocumentError("the waits of a task", problems)
    return TaskMemory(passed=passed, open=found, checkpoint=checkpoint)


def _passed_document(passed: Passed) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {"kind": passed.kind.value}
    if passed.name is not None:
        document["name"] = passed.name
    if passed.is_timed_out:
        document["is_timed_out"] = True
    if passed.event is not None:
        document["event"] = passed.event
    return document


def _read_passed(fields: Fields) -> Passed:
    passed = Passed(
        kind=_kind(fields),
        name=fields.optional_text("name"),
        is_timed_out=fields.boolean("is_timed_out", default=False),
        event=fields.optional_integer("event", lowest=1, highest=_MOST_EVENTS),
    )
    fields.close()
    return passed


def _open_document(wait: OpenWait) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = {
        "name": wait.name,
        "until_us": wait.until_us,
        "poll_us": wait.poll_us,
    }
    given = {key: value for key, value in members.items() if value is not None}
    return {"kind": wait.kind.value, "since_us": wait.since_us, **given}


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
