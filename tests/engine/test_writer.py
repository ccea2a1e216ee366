"""A group commit that the database interrupts goes on where it stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina.errors import StoreUnavailableError
from cloacina.planner.execution import ExecutionState
from cloacina.store.batch import Batch
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.sqlite_link import SqliteLink
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import GroupWriter, Link
from engine.graphs import World, a_task, a_workflow


class Interrupted:
    """A link that finds the database away at one of its calls."""

    def __init__(self, link: Link, at_call: int) -> None:
        self._link = link
        self._calls_left = at_call

    def write(self, batch: Batch) -> None:
        self._calls_left -= 1
        if self._calls_left == 0:
            raise StoreUnavailableError("away")
        self._link.write(batch)

    def close(self) -> None:
        self._link.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase(SqliteLocation(path=tmp_path / "c.db"))
    yield opened
    opened.close()


def some_executions(count: int) -> list[ExecutionState]:
    world = World()
    for n in range(count):
        world.planner.step(world.submission(a_workflow(a_task("a")), f"e{n}"), world.now)
    return world.planner.take_unsaved()


@pytest.mark.parametrize("at_call", range(1, 8))
def test_what_was_committed_before_an_interruption_is_neither_lost_nor_repeated(
    database: SqliteDatabase, at_call: int
) -> None:
    writer = database.open_writer("r")
    assert isinstance(writer, GroupWriter)
    executions = some_executions(5)
    writer.commit([executions[3]])  # so that it is refused the second time: the batch is divided
    assert isinstance(writer._link, SqliteLink)
    writer._link = Interrupted(writer._link, at_call)
    written = writer.commit(executions)
    assert written.obstacle == "away"
    left, written.postponed = written.postponed, []
    written.add(writer.commit(left))
    assert written.postponed == []
    assert sorted(each.id for each in written.saved) == ["e0", "e1", "e2", "e4"]
    assert [each.id for each, _ in written.rejected] == ["e3"]
    assert written.lost == []
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM workflow_executions ORDER BY id")
        assert [row[0] for row in rows] == ["e0", "e1", "e2", "e3", "e4"]
    writer.close()


def test_what_was_given_up_is_not_written_in_place_of_what_follows(
    database: SqliteDatabase,
) -> None:
    writer = database.open_writer("r")
    assert isinstance(writer, GroupWriter)
    link = writer._link
    given_up, following = some_executions(2)
    writer._link = Interrupted(link, 1)
    assert writer.commit([given_up]).postponed == [given_up]
    writer.abandon()
    assert writer.commit([following]).saved == [following]
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM workflow_executions")
        assert [row[0] for row in rows] == [following.id]
    writer.close()
