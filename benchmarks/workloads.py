"""The workloads that every engine runs, and how one engine is timed on one of them.

Task bodies copy one small JSON value forward, so that what is measured is the engine.
"""

import asyncio
import statistics
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

PAYLOAD = {"id": 7, "name": "alpha", "v": [1, 2, 3]}
FAN = 20

Kind = Literal["chain", "fan", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """``count`` runs of one graph, ``concurrency`` of them in flight.

    ``chain`` is three tasks in a row, ``fan`` one, then twenty in parallel, then one, ``single``
    one task. Alone (concurrency 1) each run is submitted while the engine is idle; at once
    (concurrency 0) all are submitted before the first result is asked for.
    """

    name: str
    title: str
    kind: Kind
    concurrency: int
    count: int


WORKLOADS = (
    Workload(name="chain-alone", title="chain of 3, alone", kind="chain", concurrency=1, count=60),
    Workload(
        name="chain-8", title="chain of 3, 8 in flight", kind="chain", concurrency=8, count=400
    ),
    Workload(name="fan-alone", title="fan-out of 20, alone", kind="fan", concurrency=1, count=30),
    Workload(name="fan-4", title="fan-out of 20, 4 in flight", kind="fan", concurrency=4, count=80),
    Workload(
        name="singles", title="1,000 single tasks at once", kind="single", concurrency=0, count=1000
    ),
)


class Engine(ABC):
    """A workflow engine under test, open on a database of its own."""

    durability: str
    """What a commit waits for, and what differs from the defaults, for the table."""

    @abstractmethod
    def run(self, kind: Kind) -> None:
        """Run one workflow to its end and check its result."""

    def run_batch(self, kind: Kind, count: int, concurrency: int) -> list[float]:
        """Run ``count`` workflows, ``concurrency`` of them in flight; return seconds for each."""
        with ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(lambda _: timed(lambda: self.run(kind)), range(count)))

    def run_at_once(self, kind: Kind, count: int) -> None:
        """Submit ``count`` workflows, then wait until all have ended and that is durable."""
        self.run_batch(kind, count, 16)

    def close(self) -> None:  # noqa: B027 - the process ends anyhow
        """Stop."""


class AsyncEngine(Engine):
    """An engine whose calls are coroutines; they run on a loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    @abstractmethod
    async def run_async(self, kind: Kind) -> None:
        """Run one workflow to its end and check its result."""

    def run(self, kind: Kind) -> None:
        self.wait(self.run_async(kind))

    def run_batch(self, kind: Kind, count: int, concurrency: int) -> list[float]:
        async def batch() -> list[float]:
            turns = asyncio.Semaphore(concurrency)

            async def one() -> float:
                async with turns:
                    begun = time.perf_counter()
                    await self.run_async(kind)
                    return time.perf_counter() - begun

            return list(await asyncio.gather(*(one() for _ in range(count))))

        found: list[float] = self.wait(batch())
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One engine on one workload; of runs at once, no latency is known."""

    per_second: float
    p50_ms: float | None
    p99_ms: float | None


def measure(engine: Engine, workload: Workload) -> Measured:
    """Warm up with three runs, then time the workload."""
    for _ in range(3):
        engine.run(workload.kind)
    begun = time.perf_counter()
    if workload.concurrency == 0:
        engine.run_at_once(workload.kind, workload.count)
        took = time.perf_counter() - begun
        return Measured(per_second=workload.count / took, p50_ms=None, p99_ms=None)
    if workload.concurrency == 1:
        latencies = [_alone(engine, workload.kind) for _ in range(workload.count)]
        total = sum(latencies)
    else:
        latencies = engine.run_batch(workload.kind, workload.count, workload.concurrency)
        total = time.perf_counter() - begun
    cuts = statistics.quantiles(latencies, n=100)
    return Measured(
        per_second=workload.count / total, p50_ms=cuts[49] * 1000, p99_ms=cuts[98] * 1000
    )


def timed(run: Any) -> float:
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _alone(engine: Engine, kind: Kind) -> float:
    time.sleep(0.02)  # let the engine fall idle: this row is about waking up
    return timed(lambda: engine.run(kind))


def a_directory() -> Path:
    """Return a new directory for a database, on the disk of this checkout.

    The system's temporary directory may lie in memory, where a commit costs nothing.
    """
    data = Path(__file__).parent / ".data"
    data.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=data))
