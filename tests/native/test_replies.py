from typing import Any

import pytest

from cloacina_native.errors import ProtocolError
from cloacina_native.frames import Frame
from cloacina_native.log_lines import LogSource
from cloacina_native.replies import (
    Asked,
    Failed,
    Finished,
    Loaded,
    Logged,
    Waiting,
    parse_reply,
)
from cloacina_sdk.asking import Ask, Checkpoint, Park, Unpark
from cloacina_sdk.changes import Changes
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.outcome import TEXT_LIMIT_BYTES
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.spec import TaskSpec, WorkflowSpec
from cloacina_sdk.waiting import LARGEST_CHECKPOINT_BYTES, Wait


def a_workflow(*dependencies: str, name: str = "w") -> WorkflowSpec:
    task = TaskSpec(id="a", dependencies=dependencies, retry=RetryPolicy(), trigger_rule=None)
    return WorkflowSpec(name=name, description="", tags=(), tasks=(task,))


def finished(**fields: JsonValue) -> dict[str, JsonValue]:
    return {"type": "finished", "token": "t", "keys": [["a", 1]], "removed": [], **fields}


def failed(**fields: JsonValue) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "error_type": "E",
        "message": "m",
        "traceback": "",
        "is_transient": False,
        "is_fatal": False,
        "is_retry_wanted": False,
        "retry_after_ms": None,
        "error_types": ["E", "Exception", "BaseException"],
        "is_retry_approved": False,
    }
    return {"type": "failed", "token": "t", **told, **fields}


def test_a_result_becomes_changes() -> None:
    reply = parse_reply(Frame(header=finished(removed=["b"]), body=b"1"))
    changes = Changes(assigned={"a": "1"}, removed=frozenset({"b"}))
    assert reply == Finished(token="t", changes=changes)


def test_a_failure_is_told_with_its_token() -> None:
    reply = parse_reply(Frame(header=failed(is_transient=True), body=b""))
    assert isinstance(reply, Failed)
    assert (reply.token, reply.failure.is_transient) == ("t", True)


def test_what_a_task_asked_for_is_told() -> None:
    header = failed(is_retry_wanted=True, retry_after_ms=1500)
    reply = parse_reply(Frame(header=header, body=b""))
    assert isinstance(reply, Failed)
    assert (reply.failure.is_retry_wanted, reply.failure.retry_after_ms) == (True, 1500)


def test_workflows_are_read_and_checked() -> None:
    document = a_workflow().to_document()
    reply = parse_reply(Frame(header={"type": "loaded", "workflows": [document]}, body=b""))
    assert reply == Loaded(workflows=(a_workflow(),))


def test_a_log_record_is_made_printable() -> None:
    header: dict[str, JsonValue] = {"type": "log", "token": "", "level": 30, "logger": "a\x00b"}
    reply = parse_reply(Frame(header=header, body=b"nul \x00 bad \xff"))
    assert isinstance(reply, Logged)
    assert (reply.line.text, reply.line.logger) == ("nul \\x00 bad \\xff", "a\\x00b")


@pytest.mark.parametrize(
    ("header", "body", "ask"),
    [
        ({"ask": "Park"}, b"", Park()),
        ({"ask": "Unpark"}, b"", Unpark()),
        ({"ask": "Checkpoint"}, '{"é":1}'.encode(), Checkpoint(text='{"é":1}')),
    ],
)
def test_what_a_body_asks_is_told_with_its_token(
    header: dict[str, JsonValue], body: bytes, ask: Ask
) -> None:
    reply = parse_reply(Frame(header={"type": "ask", "token": "t", **header}, body=body))
    assert reply == Asked(token="t", ask=ask)


def test_what_a_run_ended_for_is_told() -> None:
    wait = Wait.event("go", timeout_ms=5)
    header: dict[str, JsonValue] = {"type": "deferred", "token": "t", "wait": wait.to_document()}
    assert parse_reply(Frame(header=header, body=b"")) == Waiting(token="t", wait=wait)


def test_progress_becomes_a_line() -> None:
    header: dict[str, JsonValue] = {"type": "progress", "token": "t", "progress": 0.25}
    reply = parse_reply(Frame(header=header, body=b""))
    assert isinstance(reply, Logged)
    assert (reply.line.source, reply.line.text) == (LogSource.PROGRESS, "0.25")


def asks(**fields: JsonValue) -> dict[str, JsonValue]:
    return {"type": "ask", "token": "t", "ask": "Checkpoint", **fields}


def deferred(**fields: JsonValue) -> dict[str, JsonValue]:
    return {"type": "deferred", "token": "t", "wait": {"kind": "Time", "delay_ms": 1}, **fields}


def told_progress(progress: JsonValue) -> dict[str, JsonValue]:
    return {"type": "progress", "token": "t", "progress": progress}


def loaded(*workflows: WorkflowSpec) -> dict[str, Any]:
    return {"type": "loaded", "workflows": [workflow.to_document() for workflow in workflows]}


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        ({}, b"", "type is missing"),
        ({"type": "surprise"}, b"", "must be one of"),
        ({"type": ["finished"]}, b"", "must be a string"),
        (finished(extra=1), b"1", "not a known key"),
        (finished(token=1), b"1", "token must be a string"),
        (finished(keys=None), b"1", "no list"),
        (finished(removed="a"), b"1", "removed must be an array"),
        (finished(removed=[1]), b"1", "must be a string"),
        (finished(removed=["a"]), b"1", "assigned"),
        (finished(removed=["b", "b"]), b"1", "twice"),
        (finished(), b"x", "not valid JSON"),
        (finished(keys=[["a", 3]]), b"NaN", "not valid JSON"),
        (finished(keys=[["a", 5]]), b"1e999", "not valid JSON"),
        (finished(keys=[["a", 8]]), b'"\\ud800"', "not valid JSON"),
        (finished(keys=[["a", 0]]), b"", "not valid JSON"),
        (finished(keys=[["a", 3]]), b"1 2", "not valid JSON"),
        (failed(is_transient=0), b"", "must be a boolean"),
        (failed(is_retry_approved="yes"), b"", "must be a boolean"),
        (failed(error_types=["E"] * 65), b"", "too many names"),
        (failed(error_types=["E" * 501]), b"", "too long ones"),
        (failed(error_type=None), b"", "must be a string"),
        (failed(message="\x00"), b"", "NUL"),
        (failed(traceback="x" * (TEXT_LIMIT_BYTES + 1)), b"", "too long"),
        (failed(), b"body", "none belongs"),
        ({"type": "log", "token": "", "level": "INFO", "logger": ""}, b"", "an integer"),
        ({"type": "log", "token": "", "level": 10**9, "logger": ""}, b"", "must be 0 to"),
        ({"type": "loaded", "workflows": {}}, b"", "must be an array"),
        ({"type": "loaded", "workflows": [{"name": "w"}]}, b"", "tasks is missing"),
        (loaded(a_workflow("nobody")), b"", "which does not exist"),
        (loaded(a_workflow(name="::")), b"", "not allowed"),
        (loaded(a_workflow(), a_workflow()), b"", "one name"),
        (asks(ask="Money"), b"", "ask must be one of"),
        (asks(ask=None), b"", "ask must be a string"),
        (asks(ask=["Park"]), b"", "ask must be a string"),
        (asks(token=None), b"1", "token must be a string"),
        (asks(text="1"), b"1", "not a known key"),
        (asks(ask="Park"), b"1", "text is not a known key"),
        (asks(), b"", "not valid JSON"),
        (asks(), b"NaN", "not valid JSON"),
        (asks(), b"\xff", "not UTF-8"),
        (asks(), b"[" * 1000, "not valid JSON"),
        (asks(), b"1" * (LARGEST_CHECKPOINT_BYTES + 1), "too much"),
        (deferred(wait=None), b"", "wait must be an object"),
        (deferred(wait={"kind": "Time"}), b"", "either until_us or delay_ms"),
        (deferred(wait={"kind": "Event", "name": "\x00"}), b"", "1 to 200 characters"),
        (deferred(wait={"kind": "Time", "delay_ms": 2**62}), b"", "must be 0 to"),
        (deferred(token=1), b"", "token must be a string"),
        (deferred(changes={}), b"", "not a known key"),
        (deferred(), b"body", "none belongs"),
        (told_progress(2), b"", "from 0 to 1"),
        (told_progress(True), b"", "from 0 to 1"),
        (told_progress("1"), b"", "from 0 to 1"),
        (told_progress(None), b"", "from 0 to 1"),
        (told_progress(1), b"body", "none belongs"),
    ],
)
def test_a_reply_that_breaks_a_rule_is_refused(
    header: dict[str, JsonValue], body: bytes, reason: str
) -> None:
    with pytest.raises(ProtocolError, match=reason):
        parse_reply(Frame(header=header, body=body))
