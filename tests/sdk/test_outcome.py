"""What the end of a body means."""

import asyncio
import errno
import json

import pytest

from cloacina_sdk.context import Context
from cloacina_sdk.errors import InvalidContextValueError, InvalidReturnError
from cloacina_sdk.outcome import TEXT_LIMIT_BYTES, TaskFailure, absorb, failure_of


def raised(error: BaseException) -> TaskFailure:
    with pytest.raises(type(error)) as caught:
        raise error
    return failure_of(caught.value)


def test_a_returned_context_is_the_result() -> None:
    other = Context({"b": 1})
    assert absorb(other, Context({"a": 1})) is other


def test_nothing_returned_keeps_changes_made_in_place() -> None:
    context = Context({"a": 1})
    context["a"] = 2
    assert absorb(None, context) is context
    assert context == {"a": 2}


def test_a_returned_mapping_is_merged() -> None:
    context = Context({"a": 1, "b": 1})
    assert absorb({"b": 2, "c": 3}, context) is context
    assert context == {"a": 1, "b": 2, "c": 3}


def test_a_returned_mapping_must_be_json() -> None:
    with pytest.raises(InvalidContextValueError, match=r"\$\.a"):
        absorb({"a": object()}, Context())


@pytest.mark.parametrize("returned", [1, "text", [], True, object()])
def test_anything_else_is_refused_and_says_what_to_return(returned: object) -> None:
    with pytest.raises(InvalidReturnError, match="return the Context, a mapping") as caught:
        absorb(returned, Context())
    assert type(returned).__name__ in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_coroutine_that_nobody_awaited_is_explained_and_closed() -> None:
    async def body() -> None:
        raise AssertionError("must not run")

    coroutine = body()
    with pytest.raises(InvalidReturnError, match="declared `async def`"):
        absorb(coroutine, Context())
    with pytest.raises(RuntimeError, match="cannot reuse"):
        coroutine.send(None)


class BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ValueError("wrong"), "ValueError", "wrong"),
        (json.JSONDecodeError("bad", "x", 0), "json.decoder.JSONDecodeError", "bad: line 1"),
        (BrokenError(), f"{__name__}.BrokenError", "RuntimeError"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
    ],
)
def test_a_failure_names_type_and_message(error: BaseException, name: str, message: str) -> None:
    failure = raised(error)
    assert failure.error_type == name
    assert message in failure.message
    assert "in raised" in failure.traceback


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (asyncio.CancelledError(), False),
        (OSError(errno.EAGAIN, "again"), True),
        (OSError(errno.EHOSTUNREACH, "no route"), True),
        (OSError(errno.EBUSY, "busy"), True),
        (FileNotFoundError(errno.ENOENT, "none"), False),
        (OSError("no number"), False),
        (ValueError("timeout"), False),
    ],
)
def test_transient_failures_are_known_by_type(error: BaseException, is_transient: bool) -> None:
    assert raised(error).is_transient is is_transient


def test_causes_are_not_walked() -> None:
    error = ValueError("outer")
    error.__cause__ = ConnectionError("inner")
    assert not raised(error).is_transient


def test_long_texts_are_cut_where_it_matters_least() -> None:
    failure = raised(ValueError("é" * 50_000 + "end"))
    assert len(failure.message.encode()) <= TEXT_LIMIT_BYTES
    assert failure.message.startswith("éé")
    assert len(failure.traceback.encode()) <= TEXT_LIMIT_BYTES
    assert failure.traceback.endswith("end\n")


def test_texts_can_be_stored_in_any_database() -> None:
    failure = raised(ValueError("nul \x00 and \ud800"))
    assert failure.message == "nul \\x00 and \\ud800"
    assert "\x00" not in failure.traceback
