"""The workloads that every engine runs, and how one engine is timed on one of them.

Task bodies copy one small JSON value forward, so that what is measured is the engine.
"""

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

PAYLOAD = {"id": 7, "name": "alpha", "v": [1, 2, 3]}
FAN = 20

Kind = Literal["chain", "fan", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """``count`` runs of one graph, ``concurrency`` of them in flight.

    ``chain`` is three tasks in a row, ``fan`` one, then twenty in parallel, then one, ``single``
    one task. Alone (concurrency 1) each run is submitted while the engine is idle.
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
        name="single-16", title="1 task, 16 in flight", kind="single", concurrency=16, count=1000
    ),
)


class Engine(Protocol):
    """A workflow engine under test, open on a database of its own."""

    durability: str
    """Database and what a commit waits for, for the table."""

    def run(self, kind: Kind) -> None:
        """Run one workflow to its end and check its result."""

    def close(self) -> None:
        """Stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One engine on one workload."""

    per_second: float
    p50_ms: float
    p99_ms: float


def measure(engine: Engine, workload: Workload) -> Measured:
    """Warm up with three runs, then time the workload."""
    for _ in range(3):
        engine.run(workload.kind)

    def one(_: int) -> float:
        if workload.concurrency == 1:
            time.sleep(0.02)  # let the engine fall idle: this row is about waking up
        begun = time.perf_counter()
        engine.run(workload.kind)
        return time.perf_counter() - begun

    begun = time.perf_counter()
    if workload.concurrency == 1:
        latencies = [one(n) for n in range(workload.count)]
        total = sum(latencies)
    else:
        with ThreadPoolExecutor(workload.concurrency) as pool:
            latencies = list(pool.map(one, range(workload.count)))
        total = time.perf_counter() - begun
    cuts = statistics.quantiles(latencies, n=100)
    return Measured(
        per_second=workload.count / total, p50_ms=cuts[49] * 1000, p99_ms=cuts[98] * 1000
    )


def a_directory() -> Path:
    """Return a new directory for a database, on the disk of this checkout.

    The system's temporary directory may lie in memory, where a commit costs nothing.
    """
    data = Path(__file__).parent / ".data"
    data.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=data))


def as_row(measured: Measured) -> dict[str, float]:
    """Return a measurement for printing as JSON."""
    return asdict(measured)
