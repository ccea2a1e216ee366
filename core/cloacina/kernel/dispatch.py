"""Hand attempts to the executor that runs their kind, and their ends back to the kernel."""

import contextvars
import logging
from collections.abc import Callable, Mapping

from cloacina.executors.contract import Attempt, Executor, Result
from cloacina.planner.effects import StartAttempt, StopAttempt
from cloacina.planner.events import AttemptEnded
from cloacina.runtime import Runtime
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import failure_of

THREAD, LOOP, WORKER = "thread", "loop", "worker"
_LOG = logging.getLogger("cloacina")


class Dispatcher:
    """Knows which executor runs what. Called by the kernel's thread only."""

    def __init__(
        self,
        runtime: Runtime,
        executors: Mapping[str, Executor],
        send: Callable[[AttemptEnded], None],
    ) -> None:
        """Send the end of every attempt to ``send``, from whatever thread it is reported on."""
        self._runtime = runtime
        self._executors = executors
        self._send = send
        self._running_on: dict[str, Executor] = {}
        self.variables: dict[str, contextvars.Context] = {}
        """Execution id -> the context variables of its submitter, while it is in flight here."""

    def start(self, effect: StartAttempt) -> None:
        """Begin an attempt whose record is committed."""
        execution, number, token = effect.execution, effect.task_number, effect.token

        def report(result: Result) -> None:
            self._running_on.pop(token, None)
            self._send(
                AttemptEnded(
                    execution_id=execution.id, task_number=number, token=token, result=result
                )
            )

        attempt = self._describe(effect)
        try:
            executor = self._executors[self._route(effect, attempt)]
            self._running_on[token] = executor
            executor.start(attempt, report)
        except Exception as error:  # noqa: BLE001 - an executor may be a plugin's; its fault is this attempt's
            _LOG.exception("the executor could not start %s", attempt.namespace)
            report(failure_of(error))

    def stop(self, effect: StopAttempt) -> None:
        """Make an attempt end; nothing, if it has ended meanwhile."""
        executor = self._running_on.get(effect.token)
        if executor is not None:
            executor.stop(effect.token, is_kill=effect.is_kill)

    def close(self, timeout_s: float) -> None:
        """Stop every executor."""
        for executor in self._executors.values():
            executor.close(timeout_s)

    def _describe(self, effect: StartAttempt) -> Attempt:
        identity = effect.execution.identity
        task = effect.execution.spec(effect.task_number)
        return Attempt(
            execution_id=identity.execution_id,
            namespace=TaskNamespace(identity.tenant, identity.package, identity.workflow, task.id),
            number=effect.attempt,
            token=effect.token,
            texts=effect.texts,
            package_digest=identity.package_digest,
            function=self._function(effect, task.id),
            variables=self.variables.get(identity.execution_id),
            element=effect.element,
        )

    def _function(self, effect: StartAttempt, task_id: str) -> Callable[..., object] | None:
        served = self._runtime.serving(effect.execution.identity)
        return None if served is None else served.functions.get(task_id)

    def _route(self, effect: StartAttempt, attempt: Attempt) -> str:
        if attempt.package_digest is not None:
            return WORKER
        if attempt.function is None:
            raise LookupError(f"the body of {attempt.namespace} is no longer registered here")
        is_async = effect.execution.spec(effect.task_number).is_async
        return LOOP if is_async else THREAD
