"""Group commit when the database fails in the middle of a batch."""

import sqlite3
from collections.abc import Sequence

from cloacina.planner.execution import ExecutionState
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation
from cloacina.store.writer import SqliteWriter
from engine.graphs import World, a_task, a_workflow


class Unsteady(SqliteWriter):
    """Fails as often as it is told, and always where one execution is among those to write."""

    refused = ""
    outages: Sequence[int] = ()
    transactions = 0

    def _write(self, executions: Sequence[ExecutionState]) -> None:
        self.transactions += 1
        if self.transactions in self.outages:
            raise sqlite3.OperationalError("disk I/O error")
        if any(execution.id == self.refused for execution in executions):
            raise sqlite3.DataError("string or blob too big")
        super()._write(executions)


def unsaved(*ids: str) -> list[ExecutionState]:
    world = World()
    workflow = a_workflow(a_task("a"))
    executions = [world.submit(workflow, id=id) for id in ids]
    for execution in executions:  # as if the commit that the world made had not been
        execution.stored_status = None
        for task in execution.tasks:
            task.stored = None
            execution.touch(task)
    return executions


def test_a_batch_that_was_half_written_tells_which_half() -> None:
    database = SqliteDatabase(SqliteLocation(path=None))
    writer = Unsteady(database, "r")
    writer.refused, writer.outages = "a", (4,)
    executions = unsaved("a", "b", "c", "d")
    # 1: all four, refused; 2: a and b, refused; 3: a; 4: b, the outage; 5: c and d
    written = writer.commit(executions)
    assert [e.id for e, _ in written.rejected] == ["a"]
    assert [e.id for e in written.postponed] == ["b"]
    assert [e.id for e in written.saved] == ["c", "d"]
    again = writer.commit(written.postponed)
    assert [e.id for e in again.saved] == ["b"]
    writer.close()
    database.close()


def test_a_batch_of_which_nothing_was_written_can_be_written_again() -> None:
    database = SqliteDatabase(SqliteLocation(path=None))
    writer = Unsteady(database, "r")
    writer.outages = (1,)
    executions = unsaved("a", "b")
    assert writer.commit(executions).postponed == executions
    assert writer.commit(executions).saved == executions
    writer.close()
    database.close()
