"""Conditions of exception classes and predicates: data that decides the same everywhere."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from cloacina_sdk import Context, RetryCondition, RetryPolicy, WorkflowBuilder, task
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.perform import perform, perform_async


class BusyError(ConnectionError):
    code = 503


def is_503(error: BaseException) -> bool:
    return getattr(error, "code", 0) == 503


def failed(body: Callable[[Context], object]) -> TaskFailure:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the body raises
        perform(body, {})
    return failure_of(caught.value)


def a_body(error: Exception, *conditions: object) -> Callable[[Context], None]:
    @task(retry_condition=list(conditions))  # type: ignore[arg-type]  # what is wrong is tested, too
    def body(_context: Context) -> None:
        raise error

    return body


def test_a_class_matches_itself_and_what_is_derived_from_it() -> None:
    failure = failure_of(BusyError("later"))
    assert failure.error_types[0].endswith("test_retry_condition.BusyError")
    assert failure.error_types[1:3] == ("ConnectionError", "OSError")
    for kind in (BusyError, ConnectionError, OSError, Exception):
        assert RetryCondition.exceptions(kind).matches(failure)
    assert not RetryCondition.exceptions(ValueError, KeyError).matches(failure)


def test_several_conditions_retry_what_any_of_them_matches() -> None:
    policy = RetryPolicy(conditions=[ValueError, is_503, RetryCondition.error_pattern(["later"])])
    assert [condition.kind.value for condition in policy.conditions] == [
        "ExceptionTypes",
        "Predicate",
        "ErrorPattern",
    ]
    assert policy.allows_retry(1, failure_of(ValueError("x")))
    assert policy.allows_retry(1, failure_of(KeyError("later")))
    assert not policy.allows_retry(1, failure_of(KeyError("x")))


def test_a_predicate_is_asked_where_the_body_ran_and_its_verdict_travels() -> None:
    policy = RetryPolicy.builder().retry_condition(is_503).build()
    stored = RetryPolicy.from_document(policy.to_document())
    assert stored == policy
    assert stored.conditions[0].function is None
    assert stored.allows_retry(1, failed(a_body(BusyError("x"), is_503)))
    assert not stored.allows_retry(1, failed(a_body(KeyError("x"), is_503)))
    bound = partial(a_body(BusyError("x"), is_503))
    assert failed(bound).is_retry_approved


def test_a_predicate_of_an_async_task_is_asked() -> None:
    @task(retry_condition=is_503)
    async def body(_context: Context) -> None:
        raise BusyError("x")

    with pytest.raises(BusyError) as caught:
        asyncio.run(perform_async(body, {}))
    assert failure_of(caught.value).is_retry_approved


def test_a_predicate_that_raises_has_not_said_yes() -> None:
    def breaks(_error: BaseException) -> bool:
        raise RuntimeError("the predicate is broken")

    failure = failed(a_body(ValueError("x"), breaks))
    assert not failure.is_retry_approved
    assert "the predicate is broken" in failure.traceback


def test_what_no_exception_stands_behind_counts_as_an_exception() -> None:
    crash = TaskFailure(error_type="WorkerCrashed", message="", traceback="", is_transient=True)
    assert RetryCondition.exceptions(Exception).matches(crash)
    assert not RetryCondition.exceptions(OSError).matches(crash)


def version_with(*conditions: object) -> str:
    with WorkflowBuilder("w") as builder:
        task(id="a", retry_condition=list(conditions))(lambda _context: None)  # type: ignore[arg-type]  # as above
    return builder.workflow_built.version


def test_another_class_or_other_code_of_a_predicate_is_another_version() -> None:
    def other(error: BaseException) -> bool:
        return getattr(error, "code", 0) == 504

    versions = {version_with(*each) for each in ([OSError], [KeyError], [is_503], [other])}
    assert len(versions) == 4
    assert version_with(is_503) == version_with(is_503)


def test_what_cannot_be_a_condition_is_refused() -> None:
    async def later(_error: BaseException) -> bool:
        return True

    with pytest.raises(InvalidDefinitionError, match="plain function"):
        RetryPolicy(conditions=[later])  # type: ignore[list-item]  # on purpose
    with pytest.raises(InvalidDefinitionError, match="exception class"):
        RetryPolicy(conditions=["ConnectionError"])  # type: ignore[list-item]  # on purpose
    with pytest.raises(InvalidDefinitionError, match="at least one"):
        RetryCondition.exceptions()
