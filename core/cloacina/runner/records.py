"""What people read of executions through a runner, and remove: whichever runner had them."""

from abc import ABC, abstractmethod
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

from cloacina.errors import InvalidConfigError
from cloacina.model.states import ExecutionStatus
from cloacina.planner.restore import restored
from cloacina.runner.engine import Engine
from cloacina.runner.events import EventStream
from cloacina.runner.result import WorkflowResult
from cloacina.store import reader
from cloacina.store.events import Page, read_events
from cloacina.store.log_reader import TaskLog, task_logs
from cloacina.store.retention import prune
from cloacina.store.unreadable import readable
from cloacina_sdk.duration import to_milliseconds

_MOST_LISTED: Final = 1_000_000


class Records(ABC):
    """The part of a runner that reads what is stored. Safe to use from several threads."""

    @abstractmethod
    def _require_engine(self) -> Engine: ...

    def execution(self, execution_id: str) -> WorkflowResult:
        """Return any execution of this database as it stands now.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            UnreadableExecutionError: if it cannot be read; it can be cancelled nevertheless.
        """
        with self._require_engine().database.read() as connection:
            stored = reader.load(connection, execution_id)
        with readable(execution_id):
            return WorkflowResult(restored(stored))

    def logs(
        self, execution_id: str, task: str | None = None, attempt: int | None = None
    ) -> list[TaskLog]:
        """Return what the attempts of an execution printed and logged, in order.

        Log records of all tasks are kept, what is printed only of packages' tasks; of one attempt
        at most 10,000 lines and 1 MiB. What an attempt that runs says is there after a second or
        two, the rest with its end.

        Args:
            execution_id: of any execution of this database.
            task: only of this task.
            attempt: only of its attempts of this number, counted from 1.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            TaskNotFoundError: if it has no task with that id.
        """
        with self._require_engine().database.read() as connection:
            return task_logs(connection, execution_id, task, attempt)

    def executions(
        self, *, status: str | None = None, workflow: str | None = None, limit: int = 50
    ) -> list[reader.ExecutionSummary]:
        """Return the newest executions, newest first.

        Args:
            status: only of this status, such as ``"Failed"``.
            workflow: only of the workflows of this name.
            limit: at most so many, from 0 to 1,000,000.

        Raises:
            InvalidConfigError: if there is no such status, or for another limit.
        """
        _check_status(status)
        if type(limit) is not int or not 0 <= limit <= _MOST_LISTED:
            allowed = f"a whole number from 0 to {_MOST_LISTED:,}"
            raise InvalidConfigError("limit", limit, allowed)
        with self._require_engine().database.read() as connection:
            return list(reader.summaries(connection, status=status, workflow=workflow, limit=limit))

    def events(self, execution_id: str, *, after: int = 0, follow: bool = True) -> EventStream:
        """Return the history of any execution of this database, whichever runner writes it.

        One event tells of each change of state. Iterate with ``for`` or ``async for``. While it is
        followed nothing is polled on SQLite: the runner that writes wakes the stream.

        Args:
            execution_id: of the execution; that there is none is found when the stream is read.
            after: leave out the events up to this sequence.
            follow: go on until the execution has ended; else end with what there is now.

        Raises:
            InvalidConfigError: if ``after`` is no sequence.
        """
        if type(after) is not int or after < 0:
            raise InvalidConfigError("after", after, "a whole number from 0")
        self._require_engine()
        stream = EventStream(execution_id, self, after=after, is_following=follow)
        self._require_engine().bulletin.add(stream)
        return stream

    def read_events(self, execution_id: str, after: int) -> Page:
        """Return the events that follow a sequence, at most 500 of them (for ``EventStream``).

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._require_engine().database.read() as connection:
            return read_events(connection, execution_id, after)

    def ask_for_changes(self) -> None:
        """Have the other runners ring when they change something (for ``EventStream``)."""
        self._require_engine().ask_for_changes()

    def prune(self, *, older_than: timedelta | float | str) -> int:
        """Remove the executions that ended longer ago than that, with all that belongs to them.

        Works in small transactions, beside runners that are busy. What has not ended stays.

        Args:
            older_than: a timedelta, seconds, or text such as ``"30d"``.

        Returns:
            how many executions were removed.

        Raises:
            InvalidDurationError: if it is no duration.
            StoreUnavailableError: if the database cannot be used now; what was removed stays so.
        """
        engine = self._require_engine()
        age_us = to_milliseconds(older_than) * 1000
        return prune(engine.database, max(0, engine.clock.now().utc_us - age_us))


def _check_status(status: object) -> None:
    known = [each.value for each in ExecutionStatus]
    if status is None or (isinstance(status, str) and status in known):
        return
    near = get_close_matches(str(status).capitalize(), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InvalidConfigError("status", status, f"one of {', '.join(known)}{hint}")
