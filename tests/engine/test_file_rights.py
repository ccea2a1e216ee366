"""SQLite files that a user may not write to, or not beside them."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cloacina import DefaultRunner, Runtime
from cloacina.errors import EngineBusyError, EngineError, StoreUnavailableError
from cloacina.runner import engine
from cloacina.store import sqlite
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation
from cloacina.store.viewer import Viewer


@contextmanager
def a_user_with_few_rights() -> Iterator[None]:
    """Be bound by the rights of files, as the superuser is not."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


@pytest.fixture
def database() -> Iterator[Path]:
    """A database of a runner that is gone, where every user gets to it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "c.db"
        with DefaultRunner(path, runtime=Runtime()):
            pass
        path.parent.chmod(0o555)
        path.chmod(0o444)
        yield path
        path.parent.chmod(0o755)


def test_a_file_that_one_may_only_read_can_be_looked_at(database: Path) -> None:
    with a_user_with_few_rights(), Viewer(SqliteLocation(path=database)) as viewer:
        assert viewer.summaries(status=None, workflow=None, limit=5) == []


def test_a_runner_names_the_file_that_it_may_not_write_to(database: Path) -> None:
    with (
        a_user_with_few_rights(),
        pytest.raises(EngineError, match=rf"{database}: this user may not write"),
    ):
        DefaultRunner(database, runtime=Runtime())
    assert os.listdir(database.parent) == ["c.db"]  # noqa: PTH208 - names are what is compared


def test_a_runner_names_the_directory_that_it_may_not_write_to(database: Path) -> None:
    database.chmod(0o666)
    with (
        a_user_with_few_rights(),
        pytest.raises(EngineError, match=rf"allow this user to write to {database.parent}"),
    ):
        DefaultRunner(database, runtime=Runtime())


def test_what_an_engine_had_that_could_not_begin_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailableError("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDatabase, "open_writer", broken)
        with pytest.raises(StoreUnavailableError, match="away"):
            DefaultRunner(tmp_path / "c.db", runtime=Runtime())
    assert [path.name for path in tmp_path.iterdir()] == ["c.db"]


@pytest.mark.parametrize("asked", ["explain", "retry"])
def test_questions_are_given_up_while_somebody_else_holds_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 1000)
    monkeypatch.setattr(engine, "PATIENCE_S", 0.05)
    with DefaultRunner(tmp_path / "c.db", runtime=Runtime()) as runner:
        inner = runner._require_engine()
        with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            if asked == "retry":
                with pytest.raises(EngineBusyError, match="running execution x again within"):
                    inner.retry("x", from_failed=True)
            else:
                with pytest.raises(EngineBusyError):
                    inner.retry("x", from_failed=True)
                with pytest.raises(EngineBusyError, match="looking at execution x within"):
                    inner.standing("x")
            other.execute("ROLLBACK")
