"""The rows of what tasks wait for and stored, and of the events that were sent to executions."""

from typing import NamedTuple

from cloacina.planner.execution import ExecutionState
from cloacina.planner.memory import OpenWait, Passed, TaskMemory
from cloacina.store.timestamps import to_text
from cloacina_sdk.json_text import JsonValue, encode


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


def waits_text(memory: TaskMemory) -> str | None:
    """Return the waits of a task as JSON text; ``None`` for a task that never waited."""
    if not memory.passed and memory.open is None:
        return None
    document: dict[str, JsonValue] = {"passed": [_passed_document(p) for p in memory.passed]}
    if memory.open is not None:
        document["open"] = _open_document(memory.open)
    return encode(document)


def _passed_document(passed: Passed) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {"kind": passed.kind.value}
    if passed.name is not None:
        document["name"] = passed.name
    if passed.is_timed_out:
        document["is_timed_out"] = True
    if passed.event is not None:
        document["event"] = passed.event
    return document


def _open_document(wait: OpenWait) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = {
        "name": wait.name,
        "until_us": wait.until_us,
        "poll_us": wait.poll_us,
    }
    given = {key: value for key, value in members.items() if value is not None}
    return {"kind": wait.kind.value, "since_us": wait.since_us, **given}
