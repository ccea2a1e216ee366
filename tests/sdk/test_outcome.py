"""What the end of a body means."""

import asyncio
import errno
import json
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy.exc

from cloacina.errors import StoreUnavailableError
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
    article = "an" if type(returned) in (int, object) else "a"
    assert f"returned {article} {type(returned).__name__};" in str(caught.value)
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


def of_driver(path: str, *bases: type[BaseException], **facts: object) -> BaseException:
    """Make an error of a class as a driver has it."""
    module, _, name = path.rpartition(".")
    error: BaseException = type(name, bases or (Exception,), {"__module__": module})("said so")
    for fact, value in facts.items():
        setattr(error, fact, value)
    return error


def sqlite_error_of(begun: int) -> sqlite3.OperationalError:
    """Return what SQLite says to a second writer, or (0) to nonsense."""
    path = "file:held?mode=memory&cache=shared"
    with (
        closing(sqlite3.connect(path, uri=True, isolation_level=None)) as first,
        closing(sqlite3.connect(path, uri=True, isolation_level=None)) as second,
    ):
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            second.execute("BEGIN IMMEDIATE" if begun else "SELECT nonsense")
    return caught.value


DBAPI = type("DBAPIError", (Exception,), {"__module__": "sqlalchemy.exc"})
DEADLOCK = of_driver("psycopg.errors.DeadlockDetected", sqlstate="40P01")


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("no such table: t"), False),
        (sqlite3.IntegrityError("UNIQUE constraint failed: locked"), False),
        (sqlite_error_of(1), True),
        (sqlite_error_of(0), False),
        (of_driver("psycopg.errors.SerializationFailure"), True),
        (DEADLOCK, True),
        (of_driver("psycopg.errors.LockNotAvailable"), True),
        (of_driver("psycopg2.errors.DeadlockDetected"), True),
        (of_driver("asyncpg.exceptions.DeadlockDetectedError"), True),
        (of_driver("mine.Derived", type(DEADLOCK)), True),
        (of_driver("psycopg.errors.UniqueViolation", sqlstate="23505"), False),
        (of_driver("psycopg.OperationalError", sqlstate="40001"), True),
        (of_driver("mine.SerializationFailure"), False),
        (of_driver("mine.Error", sqlstate="40001"), False),
        (of_driver("sqlalchemy.exc.OperationalError", DBAPI, orig=DEADLOCK), True),
        (of_driver("sqlalchemy.exc.DBAPIError", orig=of_driver("x.E", pgcode="55P03")), True),
        (of_driver("sqlalchemy.exc.IntegrityError", DBAPI, orig=ValueError("locked")), False),
        (of_driver("sqlalchemy.exc.OperationalError", DBAPI, orig=None), False),
        (of_driver("mine.Error", orig=DEADLOCK), False),
        (StoreUnavailableError("the disk is full"), True),
    ],
)
def test_a_database_that_others_hold_is_transient(error: BaseException, is_transient: bool) -> None:
    assert raised(error).is_transient is is_transient


def test_what_sqlalchemy_makes_of_a_locked_database_is_transient() -> None:
    locked = sqlite3.OperationalError("database is locked")
    assert raised(sqlalchemy.exc.OperationalError("SELECT 1", {}, locked)).is_transient
    wrong = sqlite3.OperationalError("no such table: t")
    assert not raised(sqlalchemy.exc.OperationalError("SELECT 1", {}, wrong)).is_transient
