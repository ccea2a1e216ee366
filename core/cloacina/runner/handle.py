"""A handle to an execution that was submitted."""

import asyncio
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

from cloacina.errors import WaitTimeoutError
from cloacina.model.explanation import Explanation
from cloacina.model.states import Answer, ExecutionStatus
from cloacina.planner.execution import ExecutionState
from cloacina.runner.events import EventStream
from cloacina.runner.loops import refuse_on_loop
from cloacina.runner.result import WorkflowResult
from cloacina.runner.submission import TimeLike, to_seconds
from cloacina_sdk.json_text import JsonValue


class Controls(Protocol):
    """What a handle needs of its runner."""

    def execution(self, execution_id: str) -> WorkflowResult:
        """Return the execution as it stands now."""
        ...

    def cancel(self, execution_id: str) -> Answer:
        """End it."""
        ...

    def pause(self, execution_id: str) -> Answer:
        """Start nothing more of it."""
        ...

    def resume(self, execution_id: str) -> Answer:
        """Go on with it."""
        ...

    def set_priority(self, execution_id: str, priority: int) -> Answer:
        """Let it start sooner or later than others."""
        ...

    def migrate(self, execution_id: str, to_version: str | None = None) -> Answer:
        """Go on by another version of its workflow."""
        ...

    def send_event(self, execution_id: str, name: str, payload: JsonValue = None) -> Answer:
        """Send it an event."""
        ...

    def retry_execution(self, execution_id: str, *, from_failed: bool = True) -> "ExecutionHandle":
        """Run it again."""
        ...

    def explain(self, execution_id: str, task: str | None = None) -> Explanation:
        """Say why it is not running."""
        ...

    def events(self, execution_id: str, *, after: int = 0, follow: bool = True) -> EventStream:
        """Return its history."""
        ...


class ExecutionHandle:
    """One execution, durable from the moment the handle exists. Safe to use from any thread."""

    def __init__(
        self,
        execution_id: str,
        ended: Future[ExecutionState],
        runner: Controls,
    ) -> None:
        """Made by the runner."""
        self.id = execution_id
        self._ended = ended
        self._runner = runner

    @property
    def status(self) -> str:
        """Where the execution stands now, read from the database unless it ended here."""
        return self.current().status

    @property
    def result(self) -> WorkflowResult | None:
        """What the execution came to; ``None`` while it goes on. ``wait`` waits for it."""
        found = self.current()
        return found if ExecutionStatus(found.status).is_final else None

    def current(self) -> WorkflowResult:
        """Return the execution as it stands now."""
        if self._ended.done() and self._ended.exception() is None:
            return WorkflowResult(self._ended.result())
        return self._runner.execution(self.id)

    def cancel(self) -> Answer:
        """End the execution; see ``DefaultRunner.cancel``."""
        return self._runner.cancel(self.id)

    def pause(self) -> Answer:
        """Start nothing more of the execution until ``resume``."""
        return self._runner.pause(self.id)

    def resume(self) -> Answer:
        """Go on after ``pause``."""
        return self._runner.resume(self.id)

    def set_priority(self, priority: int) -> Answer:
        """Start sooner or later than others; see ``DefaultRunner.set_priority``."""
        return self._runner.set_priority(self.id, priority)

    def migrate(self, to_version: str | None = None) -> Answer:
        """Go on by another version of the workflow; see ``DefaultRunner.migrate``."""
        return self._runner.migrate(self.id, to_version)

    def send_event(self, name: str, payload: JsonValue = None) -> Answer:
        """Send an event to the execution; see ``DefaultRunner.send_event``."""
        return self._runner.send_event(self.id, name, payload)

    def explain(self, task: str | None = None) -> Explanation:
        """Say why the execution, or a task of it, is not running; see ``DefaultRunner.explain``."""
        return self._runner.explain(self.id, task)

    def retry(self, *, from_failed: bool = True) -> None:
        """Run the execution again; see ``DefaultRunner.retry_execution``. ``wait`` waits anew."""
        self._ended = self._runner.retry_execution(self.id, from_failed=from_failed)._ended

    def events(self, *, after: int = 0, follow: bool = True) -> EventStream:
        """Return what happens to the execution; see ``DefaultRunner.events``."""
        return self._runner.events(self.id, after=after, follow=follow)

    def wait(self, timeout: TimeLike | None = None) -> WorkflowResult:
        """Block until the execution has ended.

        Args:
            timeout: how long to wait at most, as a timedelta, seconds, or text such as ``"5s"``;
                ``None`` for as long as it takes.

        Raises:
            InvalidDurationError: if that is no duration.
            WaitTimeoutError: if it runs longer; it goes on.
            RunnerClosedError: if the runner was shut down meanwhile; the execution is stored.
            RunningLoopError: when called where an event loop runs; await ``wait_async`` there.
        """
        refuse_on_loop("wait()", "await handle.wait_async(...)")
        longest_s = to_seconds(timeout)
        try:
            return WorkflowResult(self._ended.result(longest_s))
        except FutureTimeoutError:
            assert longest_s is not None  # noqa: S101 - without one, result() waits for ever
            raise WaitTimeoutError(self.id, longest_s) from None

    async def wait_async(self, timeout: TimeLike | None = None) -> WorkflowResult:
        """Wait until the execution has ended, without blocking the event loop (see ``wait``)."""
        longest_s = to_seconds(timeout)
        waiting = asyncio.wrap_future(self._ended)
        done, _ = await asyncio.wait([waiting], timeout=longest_s)
        if not done:
            waiting.add_done_callback(_seen)
            assert longest_s is not None  # noqa: S101 - without one, it waits for ever
            raise WaitTimeoutError(self.id, longest_s)
        return WorkflowResult(waiting.result())

    def __repr__(self) -> str:
        return f"ExecutionHandle(id={self.id!r})"


def _seen(future: "asyncio.Future[ExecutionState]") -> None:
    """Nobody waits here any more: an error is not to be reported as one that nobody saw."""
    if not future.cancelled():
        future.exception()
