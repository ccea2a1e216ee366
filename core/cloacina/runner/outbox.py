"""Executions that were written in transactions of others: found as soon as these are committed.

The commit itself is told of by SQLAlchemy, a moment before it happens. From then on the database
is asked, soon and then ever more rarely, and only for as long as a commit can take.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from cloacina.errors import (
    EngineError,
    RunnerClosedError,
    StoreUnavailableError,
    SubmissionRolledBackError,
)
from cloacina.log import Logger
from cloacina.model.patience import Patience
from cloacina.planner.execution import ExecutionState
from cloacina.store.commit_watch import CommitWatch
from cloacina.store.reader import Connection

_LOG = Logger("cloacina")
_PATIENCE_S: Final = 60.0
"""For how long after it was announced a commit is looked for."""

Find = Callable[[Sequence[str]], Collection[str]]
AwaitEnd = Callable[[str], Future[ExecutionState]]


class Outbox:
    """Those that are awaited. It has a thread only while it looks for some."""

    def __init__(self, find: Find, notice: Callable[[], None], await_end: AwaitEnd) -> None:
        """Begin with none.

        Args:
            find: returns those of some executions that the database holds.
            notice: called when some were found: it is time to claim them.
            await_end: returns what will hold an execution that is in the database once it ended.
        """
        self._find = find
        self._notice = notice
        self._await_end = await_end
        self._watch = CommitWatch()
        self._changed = threading.Condition()
        self._expected: dict[str, list[Future[ExecutionState]]] = {}
        self._sought: dict[str, float] = {}
        """Until when (monotonic) to look for those whose transaction ended."""
        self._patience = Patience(first_s=0.001, longest_s=1.0)
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def expect(self, connection: Connection, execution_id: str) -> Future[ExecutionState]:
        """Return what will hold an execution once it has ended, if the transaction is committed.

        It fails with ``SubmissionRolledBackError`` if the execution is not there after that.
        """
        ended: Future[ExecutionState] = Future()
        with self._changed:
            self._expected.setdefault(execution_id, []).append(ended)
        self._watch.once(
            connection,
            on_commit=partial(self._seek, execution_id, _PATIENCE_S),
            # one look is enough: it may have been there before the transaction
            on_rollback=partial(self._seek, execution_id, 0),
        )
        return ended

    def close(self) -> None:
        """Look no more; whoever still waits is told that the runner is closed."""
        with self._changed:
            self._is_closing = True
            left = [each for waiting in self._expected.values() for each in waiting]
            self._expected.clear()
            thread = self._thread
            self._changed.notify()
        _refuse(left, RunnerClosedError())
        if thread is not None:
            thread.join()

    def _seek(self, execution_id: str, patience_s: float) -> None:
        with self._changed:
            if self._is_closing:
                return
            self._sought[execution_id] = time.monotonic() + patience_s
            self._patience.reset()
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cloacina-outbox", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while sought := self._to_be_sought():
            try:
                found = self._find(sought)
            except StoreUnavailableError as error:
                _LOG.warning("%s; looking again in %g s", error, self._patience.next_s)
            else:
                self._settle(sought, found)
            with self._changed:
                if self._sought and not self._is_closing:
                    self._changed.wait(self._patience.take())

    def _to_be_sought(self) -> list[str]:
        with self._changed:
            sought = [] if self._is_closing else list(self._sought)
            if not sought:
                self._thread = None
            return sought

    def _settle(self, sought: Sequence[str], found: Collection[str]) -> None:
        if found:
            self._notice()
        now_s = time.monotonic()
        for execution_id in sought:
            is_found = execution_id in found
            with self._changed:
                if not is_found and now_s < self._sought[execution_id]:
                    continue
                del self._sought[execution_id]
                waiting = self._expected.pop(execution_id, [])
            if is_found:
                self._chain(execution_id, waiting)
            else:
                _refuse(waiting, SubmissionRolledBackError(execution_id))

    def _chain(self, execution_id: str, waiting: Sequence[Future[ExecutionState]]) -> None:
        if not waiting:
            return
        try:
            ended = self._await_end(execution_id)
        except EngineError as error:  # the runner is closing
            _refuse(waiting, error)
            return
        ended.add_done_callback(partial(_pass_on, waiting))


def _pass_on(waiting: Sequence[Future[ExecutionState]], ended: Future[ExecutionState]) -> None:
    error = ended.exception()
    if error is not None:
        _refuse(waiting, error)
        return
    for each in waiting:
        if each.set_running_or_notify_cancel():
            each.set_result(ended.result())


def _refuse(waiting: Sequence[Future[ExecutionState]], error: BaseException) -> None:
    for each in waiting:
        if each.set_running_or_notify_cancel():
            each.set_exception(error)
