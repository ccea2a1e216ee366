"""Who takes an execution over, and what happens when the database cannot be asked."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloacina.errors import EvictedError, StoreUnavailableError
from cloacina.ownership.file_neighbours import FileNeighbours
from cloacina.ownership.presence import remains_of
from cloacina.store import sqlite
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation
from engine.graphs import World, a_task, a_workflow


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteDatabase]:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    opened = SqliteDatabase(SqliteLocation(path=tmp_path / "c.db"))
    yield opened
    opened.close()


def write_as(database: SqliteDatabase, owner: str) -> None:
    execution = World().submit(a_workflow(a_task("a")))
    execution.stored_status = None  # the world has no database
    for task in execution.tasks:
        task.stored = None
        execution.touch(task)
    with closing(database.open_writer(owner)) as writer:
        assert writer.commit([execution]).saved == [execution]


def test_what_a_runner_wrote_that_nobody_knows_any_more_is_taken_over(
    database: SqliteDatabase,
) -> None:
    write_as(database, "struck out")
    here = FileNeighbours(database, "here", lambda _found: True, lambda: 0)
    here.join(0, lambda: None, slots=1)
    assert [stored.identity.execution_id for stored in here.take_over()] == ["e"]
    assert here.take_over() == ()
    here.leave()


def test_a_database_that_is_held_is_told_from_one_that_is_broken(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    here = FileNeighbours(database, "here", lambda _found: True, lambda: 0)
    here.join(0, lambda: None, slots=1)
    write_as(database, "struck out")
    with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            here.take_over()
        other.execute("ROLLBACK")
    assert len(here.take_over()) == 1
    here.leave()


def test_a_runner_whose_lock_was_removed_is_rung_and_joins_again(
    database: SqliteDatabase,
) -> None:
    was_rung = threading.Event()
    robbed = FileNeighbours(database, "robbed", lambda _found: True, lambda: 0)
    robbed.join(0, was_rung.set, slots=1)
    write_as(database, "robbed")
    (database.sidecar / "robbed.lock").unlink()
    other = FileNeighbours(database, "other", lambda _found: True, lambda: 0)
    other.join(0, lambda: None, slots=1)
    was_rung.clear()
    assert [stored.identity.execution_id for stored in other.take_over()] == ["e"]
    assert was_rung.wait(30)
    with pytest.raises(EvictedError, match="robbed"):
        robbed.take_over()
    robbed.join_again()
    assert robbed.take_over() == ()
    assert other.take_over() == ()
    other.leave()
    assert [stored.identity.execution_id for stored in robbed.take_over()] == ["e"]
    robbed.leave()
    assert not any(database.sidecar.iterdir())


def test_files_of_a_runner_that_is_back_are_not_removed(database: SqliteDatabase) -> None:
    robbed = FileNeighbours(database, "robbed", lambda _found: True, lambda: 0)
    robbed.join(0, lambda: None, slots=1)
    (database.sidecar / "robbed.lock").unlink()
    remains = remains_of(database.sidecar, "robbed")
    assert remains is not None
    robbed.join_again()
    remains.bury()
    assert remains_of(database.sidecar, "robbed") is None
    robbed.leave()
