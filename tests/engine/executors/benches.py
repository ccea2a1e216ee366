"""Every executor on a bench of its own: without an engine, through nothing but the contract."""

import contextvars
import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloacina import ExecutionResult, LogLine, TaskExecutor, TaskNamespace, TaskReadyEvent
from cloacina.executors.embedded import Body
from cloacina.executors.feeder import FedExecutor
from cloacina.executors.loop import LoopExecutor
from cloacina.executors.threads import ThreadExecutor
from cloacina.executors.workers import WorkerExecutor
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.executor import Ask, Reply
from cloacina_sdk.json_text import JsonValue, encode
from cloacina_sdk.mapped import Element
from cloacina_sdk.waiting import Memory
from engine.executors import conformity
from engine.executors.gate import DEADLINE_S
from engine.executors.process_executor import ProcessExecutor

Answer = Callable[[Reply], None]

CAPACITY = 2
DIGEST = "sha256:bench"
_SYNC: tuple[Callable[..., Any], ...] = (
    conformity.adds,
    conformity.copies,
    conformity.breaks,
    conformity.stumbles,
    conformity.asks_again,
    conformity.gives_up,
    conformity.leaves,
    conformity.returns_nonsense,
    conformity.waits,
    conformity.remembers,
    conformity.polls,
    conformity.stays_parked,
    conformity.watches,
    conformity.swallows,
)
_PACKAGED = """
from cloacina_sdk import WorkflowBuilder, task
from conformity import {names}, each_waits

with WorkflowBuilder("w"):
    task(map_over="xs")(each_waits)
    for body in ({names}):
        task(id=body.__name__)(body)
"""


class Bench:
    """An executor, what it reports, and an engine that grants what is asked for."""

    def __init__(self, executor: TaskExecutor, *, is_async: bool, digest: str | None) -> None:
        self.executor = executor
        self.is_async = is_async
        self._digest = digest
        self.results: queue.Queue[ExecutionResult] = queue.Queue()
        self.lines: queue.Queue[tuple[str, LogLine]] = queue.Queue()
        self.asks: queue.Queue[tuple[str, Ask, Answer]] = queue.Queue()
        self.held: set[type[Ask]] = set()
        self._started = 0
        self._is_closed = False

    def close(self, timeout_s: float) -> None:
        """Close the executor, if that was not done before."""
        if not self._is_closed:
            self._is_closed = True
            self.executor.close(timeout_s)

    def finished(self, result: ExecutionResult) -> None:
        self.results.put(result)

    def said(self, token: str, line: LogLine) -> None:
        self.lines.put((token, line))

    def asked(self, token: str, ask: Ask, answer: Answer) -> None:
        self.asks.put((token, ask, answer))
        if type(ask) not in self.held:
            answer(Reply.DONE)

    def hold(self, *kinds: type[Ask]) -> None:
        """Leave it to the test to answer asks of these kinds."""
        self.held |= set(kinds)

    def next_ask(self) -> tuple[str, Ask, Answer]:
        """Return who asks next, for what, and whom to answer."""
        return self.asks.get(timeout=DEADLINE_S)

    def ask(self, expected: Ask, token: str) -> Answer:
        """Return what answers the next thing that is asked for, which has to be this."""
        asked_by, ask, answer = self.next_ask()
        assert (asked_by, ask) == (token, expected)
        return answer

    def start(
        self,
        body: str,
        values: Mapping[str, JsonValue] | None = None,
        *,
        memory: Memory | None = None,
        element: Element | None = None,
    ) -> str:
        """Start an attempt that has travelled as JSON; return its token."""
        self._started += 1
        event = TaskReadyEvent(
            execution_id=f"e{self._started}",
            namespace=TaskNamespace("public", "embedded", "w", body),
            attempt=1,
            token=f"token-{self._started}",
            texts={key: encode(value) for key, value in (values or {}).items()},
            workflow_version="v",
            package_digest=self._digest,
            import_path=f"{conformity.__name__}:{body}" if self._digest is None else None,
            is_async=self.is_async,
            timeout_ms=1000,
            memory=memory,
            element=element,
        )
        again = TaskReadyEvent.from_json(event.to_json())
        assert again == event
        self.executor.start(again, self)
        return event.token

    def result(self) -> ExecutionResult:
        """Return the next result that is reported."""
        return self.results.get(timeout=DEADLINE_S)

    def run(
        self,
        body: str,
        values: Mapping[str, JsonValue] | None = None,
        *,
        memory: Memory | None = None,
        element: Element | None = None,
    ) -> ExecutionResult:
        token = self.start(body, values, memory=memory, element=element)
        result = self.result()
        assert result.token == token
        return result


@contextmanager
def a_bench(kind: str, folder: Path) -> Iterator[Bench]:
    """Set up an executor for ``CAPACITY`` attempts at once, and close it in the end."""
    executor: TaskExecutor
    match kind:
        case "thread":
            executor = ThreadExecutor(CAPACITY, _find_sync)
        case "loop":
            executor = LoopExecutor(_find_async)
        case "worker":
            executor = _workers(folder)
        case _:
            executor = FedExecutor("process", ProcessExecutor(CAPACITY))
    digest = DIGEST if kind == "worker" else None
    bench = Bench(executor, is_async=kind == "loop", digest=digest)
    try:
        yield bench
    finally:
        bench.close(1)


def _find_sync(event: TaskReadyEvent) -> Body:
    function = getattr(conformity, event.namespace.task_id)
    return Body(function=function, variables=contextvars.Context())


def _find_async(event: TaskReadyEvent) -> Body:
    body = _find_sync(event).function

    async def awaits(context: Any) -> Any:
        return body(context)

    own = getattr(conformity, f"{event.namespace.task_id}_async", awaits)
    return Body(function=own, variables=None)


def _workers(folder: Path) -> WorkerExecutor:
    names = ", ".join(body.__name__ for body in _SYNC)
    (folder / "package").mkdir()
    source = Path(conformity.__file__).read_text()
    (folder / "package" / "conformity.py").write_text(source)
    (folder / "package" / "bench_tasks.py").write_text(_PACKAGED.format(names=names))

    def start_worker() -> WorkerProcess:
        worker = WorkerProcess.start(folder / "package", name="bench", environment={})
        worker.load("bench", ["bench_tasks"])
        return worker

    workers = WorkerExecutor()
    workers.serve(DIGEST, start_worker, max_workers=CAPACITY, warm=start_worker())
    return workers
