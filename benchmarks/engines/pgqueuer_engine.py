"""pgqueuer on PostgreSQL: a job queue, without workflows.

A job enqueues the next; the join of the fan-out is a counter in memory, and so is the word of the
end. ``batch`` takes and completes a hundred jobs at once instead of ten.
"""

import asyncio
import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries
from workloads import FAN, PAYLOAD, AsyncEngine, Engine, Kind

_FIRST = {"chain": "c1", "single": "c3", "fan": "f1"}


class _PgQueuer(AsyncEngine):
    durability = "synchronous_commit=on; the join is in memory"

    def __init__(self, url: str, batch_size: int) -> None:
        super().__init__()
        self._batch_size = batch_size
        self._ended: dict[int, asyncio.Future[Any]] = {}
        self._open: dict[int, int] = {}
        self._numbers = itertools.count()
        self.wait(self._start(url))

    async def _start(self, url: str) -> None:
        self._pool = await asyncpg.create_pool(url, min_size=4, max_size=16)
        self._producer = await asyncpg.create_pool(url, min_size=4, max_size=8)
        self._queries = Queries(AsyncpgPoolDriver(self._producer))
        await self._queries.install()
        worker = PgQueuer(AsyncpgPoolDriver(self._pool))
        enqueue = self._queries.enqueue

        @worker.entrypoint("c1")
        async def first(job: Any) -> None:
            await enqueue("c2", _copied(job.payload))

        @worker.entrypoint("c2")
        async def second(job: Any) -> None:
            await enqueue("c3", _copied(job.payload))

        @worker.entrypoint("c3")
        async def last(job: Any) -> None:
            number, value = json.loads(job.payload)
            self._ended.pop(number).set_result(dict(value))

        @worker.entrypoint("f1")
        async def head(job: Any) -> None:
            number, _ = json.loads(job.payload)
            self._open[number] = FAN
            await enqueue(["f2"] * FAN, [_copied(job.payload)] * FAN, [0] * FAN)

        @worker.entrypoint("f2")
        async def middle(job: Any) -> None:
            number, _ = json.loads(job.payload)
            payload = _copied(job.payload)
            self._open[number] -= 1
            if not self._open[number]:
                await enqueue("c3", payload)

        self._worker = asyncio.create_task(
            worker.run(
                dequeue_timeout=timedelta(seconds=5),
                batch_size=self._batch_size,
                max_concurrent_tasks=2 * self._batch_size,
            )
        )
        await asyncio.sleep(0.5)  # it says nowhere that it listens

    def _expect(self) -> tuple[int, "asyncio.Future[Any]"]:
        number = next(self._numbers)
        self._ended[number] = ended = self.loop.create_future()
        return number, ended

    async def run_async(self, kind: Kind) -> None:
        number, ended = self._expect()
        await self._queries.enqueue(_FIRST[kind], _payload(number, PAYLOAD))
        assert await asyncio.wait_for(ended, 60) == PAYLOAD

    def run_at_once(self, kind: Kind, count: int) -> None:
        async def all_of_them() -> None:
            expected = [self._expect() for _ in range(count)]
            payloads = [_payload(number, PAYLOAD) for number, _ in expected]
            await self._queries.enqueue([_FIRST[kind]] * count, payloads, [0] * count)
            await asyncio.gather(*(ended for _, ended in expected))
            while await self._producer.fetchval("SELECT count(*) FROM pgqueuer"):
                await asyncio.sleep(0.002)  # completions are buffered

        self.wait(all_of_them())


def _payload(number: int, value: Any) -> bytes:
    return json.dumps([number, value]).encode()


def _copied(payload: bytes) -> bytes:
    number, value = json.loads(payload)
    return _payload(number, dict(value))


def open_engine(_directory: Path, url: str | None, variant: str) -> Engine:
    """Start a worker on an empty database."""
    assert url is not None
    return _PgQueuer(url, 100 if variant == "batch" else 10)
