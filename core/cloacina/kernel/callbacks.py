"""Call what authors want to be called, after commits, on a thread of its own.

Best effort: a callback is called at most once, and not at all if the process ends before. What it
raises is logged. One that takes long holds up those after it, and nothing else.
"""

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from cloacina.log import Logger
from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus, TaskStatus
from cloacina.planner.effects import AttemptSettled, WaitFailed
from cloacina.planner.execution import ExecutionState
from cloacina.runtime import Runtime
from cloacina_sdk.callbacks import Callback
from cloacina_sdk.context import Context

_LOG = Logger("cloacina")

FindVariables = Callable[[str], contextvars.Context | None]


@dataclass(frozen=True, slots=True)
class _Call:
    what: str
    function: Callable[[], object]
    variables: contextvars.Context


class CallbackCaller:
    """Belongs to the kernel's thread, but for ``close``. Its own thread starts with the first."""

    def __init__(self, runtime: Runtime, find_variables: FindVariables) -> None:
        """Call what workflows of ``runtime`` name.

        ``find_variables`` returns the context variables of an execution's submitter.
        """
        self._runtime = runtime
        self._find_variables = find_variables
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def attempt_settled(self, effect: AttemptSettled | WaitFailed) -> None:
        """Call about the end of an attempt, or the failure of a wait after it, once committed."""
        execution, number = effect.execution, effect.task_number
        if number >= len(execution.topology):
            return  # an element of a mapped task, which cannot have callbacks
        served = self._runtime.serving(execution.identity)
        spec, task = execution.topology.tasks[number], execution.tasks[number]
        if served is None or task.status is TaskStatus.CANCELLED:
            return
        callbacks = served.callbacks_of(spec.id)
        failure = effect.failure
        if failure is None:
            self._plan(callbacks.on_success, execution, spec.id, lambda: _left(execution, number))
            return
        error = f"{failure.error_type}: {failure.message}"

        def texts() -> Mapping[str, str]:
            seen = texts_of(execution.views.seen_by(number))
            return seen if failure.left is None else failure.left.applied_to(seen)

        self._plan(callbacks.on_failure, execution, spec.id, texts, error)
        if effect.retry_delay_us is not None:
            self._plan(callbacks.on_retry, execution, spec.id, texts, error)

    def execution_ended(self, execution: ExecutionState) -> None:
        """Call about the end of an execution, which is committed."""
        served = self._runtime.serving(execution.identity)
        if served is None:
            return

        def texts() -> Mapping[str, str]:
            return texts_of(execution.views.final())

        if execution.status is ExecutionStatus.COMPLETED:
            self._plan(served.callbacks.on_success, execution, served.name, texts)
        elif execution.status is ExecutionStatus.FAILED:
            error = f"{execution.error_type}: {execution.error_message}"
            self._plan(served.callbacks.on_failure, execution, served.name, texts, error)

    def close(self, timeout_s: float) -> None:
        """Call what is left, for at most that long; nothing may be planned any more."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(timeout_s)

    def _plan(
        self,
        callback: Callback | None,
        execution: ExecutionState,
        name: str,
        texts: Callable[[], Mapping[str, str]],
        *error: str,
    ) -> None:
        if callback is None:
            return
        variables = self._find_variables(execution.id)
        function = partial(callback, name, *error, Context.from_texts(texts()))
        what = f"a callback of {name!r} in execution {execution.id}"
        copied = contextvars.Context() if variables is None else variables.copy()
        self._calls.put(_Call(what, function, copied))
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="cloacina-callbacks", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.variables.run(_call, call.function)
            except BaseException:  # noqa: BLE001 - a user's callback may raise anything
                _LOG.exception("%s failed; that changes nothing", call.what)


def _call(function: Callable[[], object]) -> None:
    returned = function()
    if inspect.iscoroutine(returned):
        asyncio.run(returned)


def _left(execution: ExecutionState, number: int) -> Mapping[str, str]:
    seen, changes = texts_of(execution.views.seen_by(number)), execution.tasks[number].changes
    return seen if changes is None else changes.applied_to(seen)
