"""Attempts and their results as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.attempt import ExecutionResult, ResultStatus, TaskReadyEvent
from cloacina_sdk.changes import Changes
from cloacina_sdk.errors import InvalidDocumentError, InvalidJsonError
from cloacina_sdk.json_text import encode
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.waiting import LATEST_US, LONGEST_MS, NAME, Memory, PassedWait, Wait, WaitKind

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
TEXTS = st.dictionaries(TEXT, VALUES.map(encode), max_size=4)
WAITS = st.one_of(
    st.integers(0, LATEST_US).map(Wait.until),
    st.integers(0, LONGEST_MS).map(Wait.delay),
    st.builds(Wait.event, TEXT.filter(NAME.fullmatch), timeout_ms=st.none() | st.just(5)),
    st.builds(Wait.condition, st.just("c"), poll_ms=st.integers(1, 9), timeout_ms=st.none()),
)
PASSED = st.one_of(
    st.just(PassedWait(kind=WaitKind.TIME)),
    st.builds(
        PassedWait,
        kind=st.just(WaitKind.EVENT),
        name=st.just("é"),
        payload=st.none() | VALUES.map(encode),
    ),
    st.builds(
        PassedWait, kind=st.just(WaitKind.CONDITION), name=st.just("c"), is_timed_out=st.booleans()
    ),
)
MEMORIES = st.builds(
    Memory,
    waits=st.lists(PASSED, max_size=4).map(tuple),
    checkpoint=st.none() | VALUES.map(encode),
)
NAMESPACE = TaskNamespace("public", "embedded", "w", "t")
EVENT = TaskReadyEvent(
    execution_id="e",
    namespace=NAMESPACE,
    attempt=1,
    token="t",
    texts={"a": "1"},
    workflow_version="v",
)


@given(
    texts=TEXTS,
    attempt=st.integers(1, 10**6),
    digest=st.none() | TEXT,
    path=st.none() | TEXT,
    is_async=st.booleans(),
    timeout_ms=st.none() | st.integers(0, 2**50),
    priority=st.integers(-1_000_000, 1_000_000),
    memory=st.none() | MEMORIES,
)
def test_an_event_comes_back_from_its_json(
    texts: dict[str, str],
    attempt: int,
    digest: str | None,
    path: str | None,
    is_async: bool,
    timeout_ms: int | None,
    priority: int,
    memory: Memory | None,
) -> None:
    event = TaskReadyEvent(
        execution_id="e",
        namespace=NAMESPACE,
        attempt=attempt,
        token="t",
        texts=texts,
        workflow_version="v",
        package_digest=digest,
        import_path=path,
        is_async=is_async,
        timeout_ms=timeout_ms,
        priority=priority,
        memory=memory,
    )
    assert TaskReadyEvent.from_json(event.to_json()) == event


@given(assigned=TEXTS, removed=st.frozensets(TEXT, max_size=3))
def test_a_success_comes_back_from_its_json(
    assigned: dict[str, str], removed: frozenset[str]
) -> None:
    changes = Changes(assigned=assigned, removed=removed - assigned.keys())
    result = ExecutionResult.succeeded("t", changes)
    again = ExecutionResult.from_json(result.to_json())
    assert again == result
    assert again.outcome == changes


@given(message=TEXT, is_transient=st.booleans(), delay=st.none() | st.integers(0, 10**9))
def test_a_failure_comes_back_from_its_json(
    message: str, is_transient: bool, delay: int | None
) -> None:
    failure = TaskFailure(
        error_type="E",
        message=message,
        traceback="tb",
        is_transient=is_transient,
        is_retry_wanted=delay is not None,
        retry_after_ms=delay,
    )
    result = ExecutionResult.failed("t", failure)
    assert ExecutionResult.from_json(result.to_json()) == result
    assert result.status is ResultStatus.FAILED


@given(WAITS)
def test_a_deferral_comes_back_from_its_json(wait: Wait) -> None:
    result = ExecutionResult.of("t", wait)
    again = ExecutionResult.from_json(result.to_json())
    assert again == result == ExecutionResult.waiting("t", wait)
    assert (again.status, again.outcome) == (ResultStatus.DEFERRED, wait)


def test_what_takes_no_handle_is_written_as_before() -> None:
    assert "memory" not in EVENT.to_json()
    success = ExecutionResult.succeeded("t", Changes(assigned={}, removed=frozenset()))
    assert "deferred" not in success.to_json()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "other"}, r"\$\.type must be one of task_ready, not 'other'"),
        ({"attempt": 0}, r"\$\.attempt must be 1 to"),
        ({"attempt": True}, r"\$\.attempt must be an integer, not a boolean"),
        ({"namespace": "a::b"}, r"\$\.namespace"),
        ({"token": 5}, r"\$\.token must be a string"),
        ({"context": [1]}, r"\$\.context must be an object"),
        ({"timeout_ms": -1}, r"\$\.timeout_ms must be 0 to"),
        ({"surprise": 1}, r"\$\.surprise is not a known key"),
        ({"memory": {}}, r"\$\.memory\.waits is missing"),
        (
            {"memory": {"waits": [], "checkpoint": "{"}},
            r"\$\.memory\.checkpoint: .* not valid JSON",
        ),
        ({"memory": {"waits": [{"kind": "Event"}]}}, r"\$\.memory\.waits\[0\]\.name is missing"),
    ],
)
def test_an_event_of_another_form_is_refused_with_the_place(
    change: dict[str, object], problem: str
) -> None:
    document = json.loads(EVENT.to_json()) | change
    with pytest.raises(InvalidDocumentError, match=problem):
        TaskReadyEvent.from_json(json.dumps(document))


def test_every_missing_key_of_an_event_is_named() -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        TaskReadyEvent.from_json("{}")
    named = str(caught.value)
    for key in ("type", "execution_id", "namespace", "attempt", "token", "context", "priority"):
        assert f"$.{key} is missing" in named


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidJsonError):
        TaskReadyEvent.from_json("{")
    with pytest.raises(InvalidJsonError):
        ExecutionResult.from_json('{"token": NaN}')


FAILURE = failure_of(ValueError("no")).to_document()
WAIT = Wait.event("e", timeout_ms=1).to_document()


@pytest.mark.parametrize(
    "document",
    [
        {"token": "t", "status": "Succeeded"},
        {"token": "t", "status": "Succeeded", "changes": {}, "failure": FAILURE},
        {"token": "t", "status": "Failed", "changes": {}},
        {"token": "t", "status": "Failed", "changes": None, "failure": None},
        {"token": "t", "status": "Perhaps", "changes": {}},
        {"token": "t", "status": "Succeeded", "changes": {"set": {"a": 1}, "removed": ["a"]}},
        {"token": "t", "status": "Succeeded", "changes": {"other": 1}},
        {"token": "t", "status": "Failed", "failure": {**FAILURE, "retry_after_ms": 2**60}},
        {"token": "t", "status": "Failed", "failure": {**FAILURE, "colour": "red"}},
        {"status": "Succeeded", "changes": {}},
        {"token": "t", "status": "Deferred"},
        {"token": "t", "status": "Deferred", "changes": {}},
        {"token": "t", "status": "Deferred", "changes": {}, "deferred": WAIT},
        {"token": "t", "status": "Deferred", "failure": FAILURE, "deferred": WAIT},
        {"token": "t", "status": "Succeeded", "deferred": WAIT},
        {"token": "t", "status": "Deferred", "deferred": {**WAIT, "kind": "Sleep"}},
        {"token": "t", "status": "Deferred", "deferred": {**WAIT, "timeout_ms": -1}},
    ],
)
def test_a_result_of_another_form_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(InvalidDocumentError):
        ExecutionResult.from_json(json.dumps(document))


@pytest.mark.parametrize("status", ResultStatus)
def test_a_result_has_what_its_status_says(status: ResultStatus) -> None:
    with pytest.raises(InvalidDocumentError):
        ExecutionResult(token="t", status=status)


def test_what_a_document_does_not_describe_is_named() -> None:
    with pytest.raises(InvalidDocumentError, match="describes no task_ready event: "):
        TaskReadyEvent.from_json("{}")
    with pytest.raises(InvalidDocumentError, match="describes no execution result: "):
        ExecutionResult.from_json("{}")
