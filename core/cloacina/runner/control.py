"""What people ask of executions through a runner, whichever runner has them."""

from cloacina.errors import InvalidConditionError, InvalidEventError, WishRefusedError
from cloacina.kernel.conditions import Condition
from cloacina.model.explanation import Explanation
from cloacina.model.states import Answer, Wish
from cloacina.planner.events import Requested
from cloacina.planner.wishes import event_argument, problem_of
from cloacina.runner.engine import PATIENCE_S
from cloacina.runner.explaining import Here, explain
from cloacina.runner.handle import ExecutionHandle
from cloacina.runner.records import Records
from cloacina.runner.submission import check_priority
from cloacina.runtime import Runtime
from cloacina.store import reader
from cloacina.store.limits import used_up
from cloacina.store.owner import owner_of
from cloacina.store.unreadable import readable
from cloacina.store.url import Location
from cloacina_sdk.errors import InvalidContextValueError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.waiting import NAME, NAME_IN_WORDS


class Control(Records):
    """The part of a runner that controls executions. Safe to use from several threads."""

    runtime: Runtime
    _location: Location

    def handle(self, execution_id: str) -> ExecutionHandle:
        """Return a handle to any execution of this database, whichever runner has it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        self.execution(execution_id)
        ended = self._require_engine().await_end(execution_id)
        return ExecutionHandle(execution_id, ended, self)

    def cancel(self, execution_id: str, *, timeout: float = PATIENCE_S) -> Answer:
        """End an execution: start nothing more, and ask what runs to end.

        Attempts have ``config.cancel_grace_seconds`` to end in their own way; then workers are
        killed, coroutines cancelled again, and threads given up. What another runner has, that
        runner is told to end; what none has ends at once, whether or not its workflow is known
        here. Returns when the request is durable, not when all has ended.

        Args:
            execution_id: of any execution of this database.
            timeout: seconds to wait at most until the runner that has it answers.

        Returns:
            ``Granted``; ``Unchanged`` if it is being cancelled already; ``Ending`` if it is being
            stopped for another reason; ``Ended`` if it had ended before; ``Left`` if the runner
            that has it did not answer in time: the request stands until it does.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            WishRefusedError: for other wishes than this, if what is stored of it cannot be read.
        """
        return self._ask(execution_id, Wish.CANCEL, timeout)

    def pause(self, execution_id: str, *, timeout: float = PATIENCE_S) -> Answer:
        """Start nothing more of an execution until ``resume``; attempts that run go on.

        Arguments, answers and errors are those of ``cancel``; it is ``Ending`` once it was
        cancelled.
        """
        return self._ask(execution_id, Wish.PAUSE, timeout)

    def resume(self, execution_id: str, *, timeout: float = PATIENCE_S) -> Answer:
        """Go on with a paused execution.

        Arguments, answers and errors are those of ``cancel``; it is ``Unchanged`` if it is not
        paused.
        """
        return self._ask(execution_id, Wish.RESUME, timeout)

    def set_priority(
        self, execution_id: str, priority: int, *, timeout: float = PATIENCE_S
    ) -> Answer:
        """Let the tasks of an execution start sooner or later than others when slots are short.

        Args:
            execution_id: of any execution of this database.
            priority: higher starts first; from -1,000,000 to 1,000,000.
            timeout: as for ``cancel``, whose answers and errors are these, too.

        Raises:
            InvalidConfigError: if the priority is out of range.
        """
        check_priority(priority)
        return self._ask(execution_id, Wish.SET_PRIORITY, timeout, str(priority))

    def migrate(
        self,
        execution_id: str,
        to_version: str | None = None,
        *,
        timeout: float = PATIENCE_S,
    ) -> Answer:
        """Go on with an unfinished execution by another version of its workflow.

        What has ended keeps its output, so that it must be the same in both versions: its code, its
        rule and its dependencies. Nothing may be running: pause the execution first, and let its
        attempts end. What has not ended is decided anew by the other graph; attempts and failures
        are kept.

        Args:
            execution_id: of any execution of this database.
            to_version: ``Workflow.version`` of an embedded workflow or the digest of a package; it
                must be registered in the runner that has the execution, or here if none has it.
                The one that new executions get, if left out.
            timeout: as for ``cancel``, whose answers these are, too. ``Unchanged`` if it is of that
                version already.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            WishRefusedError: with every reason against it.
        """
        return self._ask(execution_id, Wish.MIGRATE, timeout, to_version)

    def send_event(
        self,
        execution_id: str,
        name: str,
        payload: JsonValue = None,
        *,
        timeout: float = PATIENCE_S,
    ) -> Answer:
        """Send an event to an execution, whose tasks may wait for it, now or later.

        Nobody consumes it: each task sees each event of a name once, in the order in which they were
        sent. It is durable when this returns anything but ``Left``, and is sent once.

        Args:
            execution_id: of any execution of this database.
            name: 1 to 200 characters without NUL.
            payload: what ``wait_event`` returns; any JSON value, at most ``max_context_bytes`` of it.
            timeout: as for ``cancel``, whose answers these are, too. ``Ending`` and ``Ended`` mean
                that it was not sent: nobody would see it.

        Raises:
            InvalidEventError: if it cannot be sent.
            ExecutionNotFoundError: if there is none with that id.
        """
        wanted = Requested(
            execution_id=execution_id,
            wish=Wish.SEND_EVENT,
            argument=_event_argument(name, payload),
            largest_bytes=self._require_engine().max_event_bytes,
        )
        problem = problem_of(wanted)
        if problem is not None:
            raise InvalidEventError(name, problem)
        return self._ask(execution_id, Wish.SEND_EVENT, timeout, wanted.argument)

    def register_condition(self, name: str, condition: Condition) -> None:
        """Know a condition that tasks wait for by name: ``handle.defer_until(name, ...)``.

        It is called on a thread of its own, at once for each task that waits for it here and then
        after each poll interval, until it returns something true; what it raises fails the task's
        attempt. What had the name before is replaced. A runner that takes an execution over calls
        the conditions that are registered with that runner.

        Args:
            name: 1 to 200 characters without NUL.
            condition: takes no arguments; it may be a coroutine function.

        Raises:
            InvalidConditionError: if it cannot be registered.
        """
        if not _is_name(name):
            raise InvalidConditionError(
                f"the name of a condition has {NAME_IN_WORDS}, not {name!r}"
            )
        if not callable(condition):
            raise InvalidConditionError(f"condition {name!r} cannot be called: {condition!r}")
        self._require_engine().conditions.register(name, condition)

    def retry_execution(self, execution_id: str, *, from_failed: bool = True) -> ExecutionHandle:
        """Run an execution that failed or was cancelled again, and return a handle to wait with.

        Only what failed or was cancelled runs again, and what depends on it, be it that it was
        skipped, failed or completed; all other outputs are kept. Attempts are numbered on, failures
        are counted anew, and so is the time that the workflow may take. It runs where its workflow
        is known, here or elsewhere, once its package is loaded.

        Args:
            execution_id: of any execution of this database.
            from_failed: ``False`` to run every task again.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            ExecutionNotRetryableError: if it did complete, or runs; of two who ask at once, one
                finds it running.
            EngineBusyError: if the database is held for longer than ten seconds; it may run again
                nevertheless.
        """
        self._require_engine().retry(execution_id, from_failed=from_failed)
        return self.handle(execution_id)

    def explain(self, execution_id: str, task: str | None = None) -> Explanation:
        """Say in one sentence why an execution, or a task of it, is not running.

        It is read from the database, whoever has the execution; of one that this runner has, the
        queue for slots is looked at, too. Of an execution that waits, the task is told that all
        the others wait for.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            TaskNotFoundError: if it has no such task; naming those it has.
            EngineBusyError: if the database is held for longer than ten seconds.
            UnreadableExecutionError: if it cannot be read; it can be cancelled nevertheless.
        """
        engine = self._require_engine()
        standing = engine.standing(execution_id)
        here = Here(runtime=self.runtime, routes=engine.routes, conditions=engine.conditions.names)
        now_us = engine.clock.now().utc_us
        with readable(execution_id):
            with engine.database.read() as connection:
                stored = reader.load(connection, execution_id)
                owner = owner_of(connection, execution_id)
                limits = used_up(connection, stored, now_us) if standing is None else {}
            return explain(
                stored,
                owner,
                task=task,
                location=self._location,
                now_us=now_us,
                here=here,
                standing=standing,
                limits=limits,
            )

    def _ask(
        self, execution_id: str, wish: Wish, timeout: float, argument: str | None = None
    ) -> Answer:
        wanted = Requested(execution_id=execution_id, wish=wish, argument=argument)
        verdict = self._require_engine().ask(wanted, timeout)
        if verdict.answer is Answer.REFUSED:
            raise WishRefusedError(execution_id, wish, verdict.detail)
        return verdict.answer


def _event_argument(name: object, payload: object) -> str:
    if not isinstance(name, str):
        raise InvalidEventError(name, f"its name must be a text, not a {type(name).__name__}")
    if not _is_name(name):
        raise InvalidEventError(name, f"its name must have {NAME_IN_WORDS}")
    try:
        return event_argument(name, payload)
    except InvalidContextValueError as error:
        raise InvalidEventError(name, str(error)) from error


def _is_name(given: object) -> bool:
    return isinstance(given, str) and NAME.fullmatch(given) is not None
