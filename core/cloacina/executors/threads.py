"""Run sync tasks of embedded workflows on threads of the engine's own."""

from collections.abc import Iterator
from dataclasses import dataclass

from cloacina.executors.crew import Crew
from cloacina.executors.embedded import Body, FindBody
from cloacina.executors.listening import listen
from cloacina.executors.thread_port import ThreadPort
from cloacina_sdk.any_handle import attempt_key
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.executor import ExecutorMetrics, Report, Tally
from cloacina_sdk.handle import TaskHandle
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform


@dataclass(frozen=True, slots=True)
class _Work:
    event: TaskReadyEvent
    body: Body
    report: Report
    port: ThreadPort | None


class ThreadExecutor:
    """Threads, made when all others are busy, up to a limit; they take attempts in turn."""

    can_kill = False

    def __init__(self, max_threads: int, find_body: FindBody) -> None:
        """Run at most ``max_threads`` bodies at once; further attempts wait in order."""
        self.capacity: int | None = max_threads
        self._find_body = find_body
        self._crew = Crew("cloacina-task", max_threads, self._run)
        self._ports: dict[str, ThreadPort] = {}
        self._tally = Tally()

    def start(self, event: TaskReadyEvent, report: Report) -> None:
        """Begin an attempt on a thread.

        Raises:
            LookupError: if its body is not registered here.
        """
        body = self._find_body(event)
        self._tally.begin(event.token)
        port = None
        if event.memory is not None:
            port = self._ports[event.token] = ThreadPort(event.token, report, self._crew)
        self._crew.put(_Work(event, body, report, port))

    def cancel(self, token: str, *, is_kill: bool) -> None:
        """Tell the body's handle, if it has one; a thread ends when its body does."""
        port = self._ports.get(token)
        if port is not None:
            port.cancel()

    def metrics(self) -> ExecutorMetrics:
        """Return what it did so far."""
        return self._tally.metrics(self.capacity)

    def close(self, timeout_s: float) -> None:
        """Let bodies that run end, for at most ``timeout_s`` in all; those that wait have to."""
        self._crew.close()
        for port in list(self._ports.values()):
            port.abandon()
        self._crew.join(timeout_s, parked=False)

    def _run(self, works: Iterator[_Work]) -> None:
        for work in works:
            result = _run_body(work)
            if work.port is not None:
                work.port.end()
                del self._ports[result.token]
            self._tally.end(result)
            work.report.finished(result)


def _run_body(work: _Work) -> ExecutionResult:
    """Run the body of an embedded sync task in a copy of its submitter's context variables."""
    event, report = work.event, work.report
    variables = work.body.own_variables()
    listen(variables, lambda line: report.said(event.token, line))
    try:
        outcome = variables.run(
            perform, work.body.function, event.texts, event.element, _handle_of(work)
        )
    except BaseException as error:  # noqa: BLE001 - a user's task may raise anything, SystemExit too
        return ExecutionResult.failed(event.token, failure_of(error))
    return ExecutionResult.of(event.token, outcome)


def _handle_of(work: _Work) -> TaskHandle | None:
    event = work.event
    if work.port is None or event.memory is None:
        return None
    key = attempt_key(event.execution_id, event.namespace.task_id, event.element)
    return TaskHandle(work.port, event.memory, key)
