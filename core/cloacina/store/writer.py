"""Group commit: everything that happened since the last commit goes into one transaction.

Rules it upholds:

* all changes of one execution are committed together or not at all;
* an execution that is no longer this owner's changes nothing, and spoils nobody else's commit;
* what the database refuses (a constraint, a value too large) is traced to one execution.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.dialects import sqlite

from cloacina.errors import RejectedWriteError
from cloacina.planner.execution import ExecutionState
from cloacina.store import rows, statements
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.statements import Compiled

_DIALECT = sqlite.dialect()


def _compile(statement: object, row: type[tuple[object, ...]]) -> Compiled:
    return Compiled.of(statement, _DIALECT, row._fields)  # type: ignore[arg-type, attr-defined]  # named tuples


# In the order in which foreign keys allow them; the flag says whether each row must hit something.
_FENCE = Compiled.of(statements.FENCE, _DIALECT, ("id", "owner", "epoch"))
_ORDER: tuple[tuple[str, Compiled, bool], ...] = (
    ("graphs", _compile(statements.INSERT_GRAPH, rows.GraphRow), False),
    ("executions", _compile(statements.INSERT_EXECUTION, rows.NewExecution), False),
    ("tasks", _compile(statements.INSERT_TASK, rows.NewTask), False),
    ("task_moves", _compile(statements.MOVE_TASK, rows.TaskMove), True),
    ("attempts", _compile(statements.INSERT_ATTEMPT, rows.NewAttempt), False),
    ("attempt_closes", _compile(statements.CLOSE_ATTEMPT, rows.AttemptClose), True),
    ("execution_moves", _compile(statements.MOVE_EXECUTION, rows.ExecutionMove), True),
    ("events", _compile(statements.INSERT_EVENT, rows.NewEvent), False),
)


@dataclass(slots=True)
class Written:
    """How a group commit went."""

    saved: list[ExecutionState] = field(default_factory=list)
    lost: list[ExecutionState] = field(default_factory=list)
    """No longer this owner's; nothing of them was written."""
    rejected: list[tuple[ExecutionState, RejectedWriteError]] = field(default_factory=list)
    postponed: list[ExecutionState] = field(default_factory=list)
    """Not written; the same write may succeed later."""
    obstacle: str = ""
    """Why something was postponed."""

    def postpone(self, executions: Sequence[ExecutionState], error: Exception) -> None:
        """Note that ``executions`` have to be written later."""
        self.postponed.extend(executions)
        self.obstacle = f"the database could not be written: {error}"

    def add(self, part: "Written") -> None:
        """Add how a part of the batch went."""
        self.saved += part.saved
        self.lost += part.lost
        self.rejected += part.rejected
        self.postponed += part.postponed
        self.obstacle = part.obstacle or self.obstacle


class _MissedError(Exception):
    """A row that a change expected was not there: somebody else moved first."""


class SqliteWriter:
    """The one writing connection of a runner. Belongs to the kernel's thread."""

    def __init__(self, database: SqliteDatabase, owner: str) -> None:
        """Write to ``database`` as ``owner``."""
        self._database = database
        self._connection = database.connect_writer()
        self._owner = owner
        self._known_graphs: set[str] = set()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def commit(self, executions: Sequence[ExecutionState]) -> Written:
        """Write everything unsaved of ``executions``, as far as the database takes it now."""
        written = Written()
        try:
            self._write(executions)
            written.saved.extend(executions)
        except (_MissedError, sqlite3.DatabaseError) as error:
            if _is_passing(error):
                written.postpone(executions, error)
            elif len(executions) == 1:
                self._blame(executions[0], error, written)
            else:
                half = len(executions) // 2
                written.add(self.commit(executions[:half]))
                written.add(self.commit(executions[half:]))
        return written

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._database.turn():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _write(self, executions: Sequence[ExecutionState]) -> None:
        batch = self._batch(executions)
        with self._transaction() as connection:
            for execution in executions:
                if execution.stored_status is not None:
                    fence = (execution.id, self._owner, execution.epoch)
                    if connection.execute(_FENCE.text, fence).fetchone() is None:
                        raise _MissedError
            for kind, statement, must_hit in _ORDER:
                given = batch[kind]
                if given:
                    done = connection.executemany(statement.text, statement.arranged(given))
                    if must_hit and done.rowcount != len(given):
                        raise _MissedError
        self._known_graphs.update(str(digest) for digest, _ in batch["graphs"])

    def _batch(self, executions: Sequence[ExecutionState]) -> dict[str, list[tuple[object, ...]]]:
        batch: dict[str, list[tuple[object, ...]]] = {kind: [] for kind, _, _ in _ORDER}
        for execution in executions:
            if execution.stored_status is None:
                digest = execution.topology.digest
                if digest not in self._known_graphs:
                    graph = rows.GraphRow(digest, execution.topology.document)
                    batch["graphs"].append(graph)
                batch["executions"].append(rows.new_execution(execution, self._owner, digest))
            elif execution.has_moved:
                batch["execution_moves"].append(rows.execution_move(execution, self._owner))
            batch["tasks"].extend(rows.new_tasks(execution))
            batch["task_moves"].extend(rows.task_moves(execution))
            batch["attempts"].extend(rows.new_attempts(execution, self._owner))
            batch["attempt_closes"].extend(rows.attempt_closes(execution))
            batch["events"].extend(rows.new_events(execution))
        return batch

    @staticmethod
    def _blame(execution: ExecutionState, error: Exception, written: Written) -> None:
        if isinstance(error, _MissedError):
            written.lost.append(execution)
        else:
            written.rejected.append((execution, RejectedWriteError(execution.id, error)))


def _is_passing(error: Exception) -> bool:
    """Whether the same write may succeed later: the disk is full, the file busy, and so on."""
    return isinstance(error, sqlite3.OperationalError)
