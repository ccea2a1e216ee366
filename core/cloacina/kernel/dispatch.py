"""Hand attempts to the executors that run them, and their ends back to the kernel.

Only the first end that is told under the token of an attempt that runs here is passed on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cloacina.errors import WrongExecutorError
from cloacina.kernel.asks import Asked
from cloacina.kernel.bodies import Bodies, import_path
from cloacina.kernel.journal import fields_of
from cloacina.kernel.logbook import LogBook
from cloacina.kernel.routes import Routes
from cloacina.log import Logger
from cloacina.model.context_size import Excess, excess_of
from cloacina.planner.effects import StartAttempt, StopAttempt
from cloacina.planner.events import AttemptEnded, Identity
from cloacina.planner.guests import ClaimedOffer, OpenOffer
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.changes import Changes
from cloacina_sdk.executor import Ask, ExecutorMetrics, Reply, TaskExecutor
from cloacina_sdk.log_line import LogLine
from cloacina_sdk.mapped import Element
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.waiting import Memory

_LOG = Logger("cloacina")


@dataclass(frozen=True, slots=True)
class _Running:
    execution_id: str
    task_number: int
    executor: TaskExecutor | None
    """``None`` where none could be found."""
    texts: Mapping[str, str]
    """The context that the body sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is to run, whoever plans it."""

    identity: Identity
    task: TaskSpec
    task_number: int
    attempt: int
    token: str
    texts: Mapping[str, str]
    element: Element | None = None
    memory: Memory | None = None


class Dispatcher:
    """Knows what runs where. Called by the kernel's thread, but for what is reported to it."""

    def __init__(
        self,
        bodies: Bodies,
        routes: Routes,
        send: Callable[[AttemptEnded | Asked], None],
        logbook: LogBook,
        *,
        timeout_ms: int | None = None,
        max_context_bytes: int = 0,
    ) -> None:
        """Send what attempts ask for, and their ends, to ``send``, from whatever thread it comes.

        Args:
            bodies: of embedded tasks.
            routes: the executors.
            send: takes what attempts ask for, and their ends.
            logbook: takes what attempts say.
            timeout_ms: what executors are told of tasks that name no limit of their own.
            max_context_bytes: how large a context may be that a body sees or leaves; 0 for no limit.
        """
        self._bodies = bodies
        self._routes = routes
        self._send = send
        self._logbook = logbook
        self._timeout_ms = timeout_ms
        self._max_context_bytes = max_context_bytes
        self._running: dict[str, _Running] = {}
        self.variables = bodies.variables

    def start(self, effect: StartAttempt) -> None:
        """Begin an attempt whose record is committed."""
        execution = effect.execution
        self._begin(
            _Order(
                identity=execution.identity,
                task=execution.spec(effect.task_number),
                task_number=effect.task_number,
                attempt=effect.attempt,
                token=effect.token,
                texts=effect.texts,
                element=effect.element,
                memory=effect.memory,
            ),
            is_guest=False,
        )

    def known(self, offer: OpenOffer) -> TaskSpec | None:
        """Return the task that somebody offers an attempt of, if it can run here."""
        task = self._bodies.known(offer.identity, offer.task)
        if task is None:
            return None
        try:
            self._routes.executor_of(offer.identity, task)
        except WrongExecutorError:
            return None
        return task

    def start_guest(self, claimed: ClaimedOffer, task: TaskSpec) -> None:
        """Begin an attempt of another runner's execution, whose claim is committed."""
        offer = claimed.offer
        self._begin(
            _Order(
                identity=offer.identity,
                task=task,
                task_number=offer.task_number,
                attempt=offer.attempt,
                token=claimed.token,
                texts=claimed.texts,
            ),
            is_guest=True,
        )

    def _begin(self, order: _Order, *, is_guest: bool) -> None:
        execution_id, token = order.identity.execution_id, order.token
        running = _Running(execution_id, order.task_number, None, order.texts)
        self._running[token] = running
        self._logbook.open(token, execution_id, order.task_number, is_guest=is_guest)
        excess = excess_of(order.texts, self._max_context_bytes)
        if excess is not None:
            self.finished(ExecutionResult.failed(token, _too_large(excess)))
            return
        try:
            executor = self._routes.executor_of(order.identity, order.task)
            self._running[token] = replace(running, executor=executor)
            executor.start(self._describe(order), self)
        except WrongExecutorError as error:
            failure = replace(failure_of(error), is_fatal=True)
            self.finished(ExecutionResult.failed(token, failure))
        except Exception as error:  # noqa: BLE001 - its fault is this attempt's
            _LOG.exception(
                "the executor could not start task %r",
                order.task.id,
                extra=fields_of(order.identity, order.task.id, order.attempt),
            )
            self.finished(ExecutionResult.failed(token, failure_of(error)))

    def finished(self, result: ExecutionResult) -> None:
        """Take the end of an attempt (see ``Report``). Safe to call from any thread."""
        running = self._running.pop(result.token, None)
        if running is None:
            _LOG.warning("an executor reported an attempt that does not run here; it is ignored")
            return
        outcome = result.outcome
        if isinstance(outcome, Changes) and self._max_context_bytes:
            excess = excess_of(outcome.applied_to(running.texts), self._max_context_bytes)
            if excess is not None:
                outcome = _too_large(excess)
        self._send(
            AttemptEnded(
                execution_id=running.execution_id,
                task_number=running.task_number,
                token=result.token,
                result=outcome,
            )
        )

    def said(self, token: str, line: LogLine) -> None:
        """Take a line that an attempt said (see ``Report``). Safe to call from any thread."""
        self._logbook.write(token, line)

    def asked(self, token: str, ask: Ask, answer: Callable[[Reply], None]) -> None:
        """Take what a body asks for (see ``Report``). Safe to call from any thread."""
        running = self._running.get(token)
        if running is None:
            answer(Reply.LOST)
            return
        self._send(
            Asked(
                execution_id=running.execution_id,
                task_number=running.task_number,
                token=token,
                ask=ask,
                answer=answer,
            )
        )

    def stop(self, effect: StopAttempt) -> None:
        """Make an attempt end; nothing, if it has ended meanwhile."""
        self.cancel(effect.token, is_kill=effect.is_kill)

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Make the attempt with this token end; nothing, if it has ended meanwhile."""
        running = self._running.get(token)
        if running is None or running.executor is None:
            return
        try:
            running.executor.cancel(token, is_kill=is_kill)
        except Exception:  # noqa: BLE001 - a loop that its owner closed, for one
            _LOG.exception(
                "an attempt of execution %s could not be cancelled",
                running.execution_id,
                extra={"execution": running.execution_id},
            )

    def metrics(self) -> dict[str, ExecutorMetrics]:
        """Return what each executor did so far, by name. Safe to call from any thread."""
        found: dict[str, ExecutorMetrics] = {}
        for name, executor in self._routes.executors.items():
            try:
                metrics = executor.metrics()
            except Exception:  # noqa: BLE001 - one that cannot count must not hide the others
                _LOG.exception("executor %r could not be asked for its metrics", name)
            else:
                found[name] = metrics
        return found

    def close(self, timeout_s: float) -> None:
        """Stop every executor, all of them together within about ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        for name, executor in self._routes.executors.items():
            try:
                executor.close(max(0.0, deadline - time.monotonic()))
            except Exception:  # noqa: BLE001 - the others have to be closed all the same
                _LOG.exception("executor %r could not be closed", name)

    def _describe(self, order: _Order) -> TaskReadyEvent:
        identity, task = order.identity, order.task
        is_embedded = identity.package_digest is None
        function = self._bodies.function(identity, task.id) if is_embedded else None
        return TaskReadyEvent(
            execution_id=identity.execution_id,
            namespace=TaskNamespace(identity.tenant, identity.package, identity.workflow, task.id),
            attempt=order.attempt,
            token=order.token,
            texts=order.texts,
            workflow_version=identity.workflow_version,
            package_digest=identity.package_digest,
            import_path=import_path(function),
            is_async=task.is_async,
            timeout_ms=self._timeout_ms if task.timeout_ms is None else task.timeout_ms,
            priority=identity.priority,
            element=order.element,
            memory=order.memory,
        )


def _too_large(excess: Excess) -> TaskFailure:
    return TaskFailure(
        error_type="ContextTooLarge",
        message=str(excess),
        traceback="",
        is_transient=False,
        is_fatal=True,  # another attempt sees, and most likely leaves, as much
    )
