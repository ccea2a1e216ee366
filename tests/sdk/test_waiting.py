"""Waits and memories as documents."""

import pytest

from cloacina_sdk.document import Fields
from cloacina_sdk.executor import Ask, Checkpoint, Park, Unpark, ask_document, read_ask
from cloacina_sdk.json_text import decode, encode
from cloacina_sdk.waiting import (
    LARGEST_CHECKPOINT_BYTES,
    LATEST_US,
    LONGEST_MS,
    PassedWait,
    Wait,
    WaitKind,
)


def problems_of_wait(raw: object) -> list[str]:
    problems: list[str] = []
    Wait.read(Fields(raw, "$", problems))
    return problems


def problems_of_passed(raw: object) -> list[str]:
    problems: list[str] = []
    PassedWait.read(Fields(raw, "$", problems))
    return problems


def problems_of_ask(raw: object) -> list[str]:
    problems: list[str] = []
    read_ask(Fields(raw, "$", problems))
    return problems


@pytest.mark.parametrize(
    ("wait", "document", "words"),
    [
        (Wait.until(5), {"kind": "Time", "until_us": 5}, "a time"),
        (Wait.delay(0), {"kind": "Time", "delay_ms": 0}, "a time"),
        (Wait.event("go"), {"kind": "Event", "name": "go"}, "the event 'go'"),
        (
            Wait.condition("rain", poll_ms=3, timeout_ms=0),
            {"kind": "Condition", "name": "rain", "poll_ms": 3, "timeout_ms": 0},
            "the condition 'rain'",
        ),
    ],
)
def test_a_wait_says_what_its_kind_has(wait: Wait, document: dict[str, object], words: str) -> None:
    assert wait.to_document() == document
    assert str(wait) == words
    problems: list[str] = []
    assert Wait.read(Fields(document, "$", problems)) == wait
    assert not problems


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (None, "$ must be an object"),
        ({}, "$.kind is missing"),
        ({"kind": "Sleep"}, "$.kind must be one of Time, Event, Condition"),
        ({"kind": "Time"}, "either until_us or delay_ms"),
        ({"kind": "Time", "until_us": 1, "delay_ms": 1}, "either until_us or delay_ms"),
        ({"kind": "Time", "until_us": LATEST_US + 1}, "$.until_us must be 0 to"),
        ({"kind": "Time", "until_us": True}, "$.until_us must be an integer"),
        ({"kind": "Time", "delay_ms": -1}, "$.delay_ms must be 0 to"),
        ({"kind": "Time", "delay_ms": 1.5}, "$.delay_ms must be an integer"),
        ({"kind": "Time", "delay_ms": 1, "name": "x"}, "$.name is not a known key"),
        ({"kind": "Time", "delay_ms": 1, "timeout_ms": 1}, "$.timeout_ms is not a known key"),
        ({"kind": "Event"}, "$.name is missing"),
        ({"kind": "Event", "name": ""}, "$.name must be 1 to 200 characters"),
        ({"kind": "Event", "name": "x" * 201}, "$.name must be 1 to 200 characters"),
        ({"kind": "Event", "name": "a\0b"}, "$.name must be 1 to 200 characters"),
        ({"kind": "Event", "name": "x", "poll_ms": 1}, "$.poll_ms is not a known key"),
        ({"kind": "Event", "name": "x", "until_us": 1}, "$.until_us is not a known key"),
        ({"kind": "Condition", "name": "x"}, "$.poll_ms is missing"),
        ({"kind": "Condition", "name": "x", "poll_ms": 0}, "$.poll_ms must be 1 to"),
        ({"kind": "Condition", "name": "x", "poll_ms": LONGEST_MS + 1}, "$.poll_ms must be 1 to"),
        (
            {"kind": "Condition", "name": "x", "poll_ms": 1, "timeout_ms": 2**60},
            "$.timeout_ms must be 0 to",
        ),
    ],
)
def test_a_wait_of_another_form_is_refused_with_the_place(raw: object, problem: str) -> None:
    assert any(problem in each for each in problems_of_wait(raw))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"kind": "Time", "name": "x"}, "$.name is not a known key"),
        ({"kind": "Time", "is_timed_out": True}, "$.is_timed_out is never so for a time"),
        ({"kind": "Time", "payload": "1"}, "$.payload is that of an event that came"),
        ({"kind": "Event", "is_timed_out": False}, "$.name is missing"),
        ({"kind": "Event", "name": "x", "payload": "{"}, "$.payload: The text is not valid JSON"),
        ({"kind": "Event", "name": "x", "payload": {}}, "$.payload must be a string"),
        (
            {"kind": "Event", "name": "x", "payload": "1", "is_timed_out": True},
            "$.payload is that of an event that came",
        ),
        ({"kind": "Condition", "name": "x", "payload": "1"}, "$.payload is that of an event"),
    ],
)
def test_a_passed_wait_of_another_form_is_refused(raw: object, problem: str) -> None:
    assert any(problem in each for each in problems_of_passed(raw))


def test_an_event_may_come_with_nothing() -> None:
    assert not problems_of_passed({"kind": "Event", "name": "x"})
    assert PassedWait(kind=WaitKind.EVENT, name="x").to_document() == {"kind": "Event", "name": "x"}


@pytest.mark.parametrize("ask", [Checkpoint(text='{"a":"é"}'), Park(), Unpark()])
def test_an_ask_comes_back_from_its_document(ask: Ask) -> None:
    problems: list[str] = []
    assert read_ask(Fields(decode(encode(ask_document(ask))), "$", problems)) == ask
    assert not problems


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"ask": "Money"}, "$.ask must be one of Checkpoint, Park, Unpark"),
        ({"ask": "Park", "text": "1"}, "$.text is not a known key"),
        ({"ask": "Checkpoint"}, "$.text is missing"),
        ({"ask": "Checkpoint", "text": "NaN"}, "$.text: The text is not valid JSON"),
        ({"ask": "Checkpoint", "text": 5}, "$.text must be a string"),
        ({"ask": "Checkpoint", "text": f'"{"x" * LARGEST_CHECKPOINT_BYTES}"'}, "is too much"),
    ],
)
def test_an_ask_of_another_form_is_refused(raw: object, problem: str) -> None:
    assert any(problem in each for each in problems_of_ask(raw))
