"""Procrastinate on PostgreSQL: a job queue, without workflows, results or joins.

A job defers the next; the join of the fan-out is a counter in memory, and so is the word of the
end.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import procrastinate
from workloads import FAN, PAYLOAD, AsyncEngine, Engine, Kind

_FIRST = {"chain": "c1", "single": "c3", "fan": "f1"}
_LEFT = "SELECT count(*) AS n FROM procrastinate_jobs WHERE status <> 'succeeded'"


class _Procrastinate(AsyncEngine):
    durability = "synchronous_commit=on; the join is in memory"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._ended: dict[int, asyncio.Future[Any]] = {}
        self._open: dict[int, int] = {}
        self._numbers = itertools.count()
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=16)
        self._app = procrastinate.App(connector=connector)
        self._define()
        self.wait(self._start())

    def _define(self) -> None:
        app = self._app

        @app.task(name="c1")
        async def first(number: int, value: Any) -> None:
            await app.configure_task("c2").defer_async(number=number, value=dict(value))

        @app.task(name="c2")
        async def second(number: int, value: Any) -> None:
            await app.configure_task("c3").defer_async(number=number, value=dict(value))

        @app.task(name="c3")
        async def last(number: int, value: Any) -> None:
            self._ended.pop(number).set_result(dict(value))

        @app.task(name="f1")
        async def head(number: int, value: Any) -> None:
            self._open[number] = FAN
            jobs = [{"number": number, "value": dict(value)} for _ in range(FAN)]
            await app.configure_task("f2").batch_defer_async(*jobs)

        @app.task(name="f2")
        async def middle(number: int, value: Any) -> None:
            copied = dict(value)
            self._open[number] -= 1
            if not self._open[number]:
                await app.configure_task("c3").defer_async(number=number, value=copied)

    async def _start(self) -> None:
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()
        self._worker = asyncio.create_task(
            self._app.run_worker_async(
                concurrency=20,
                listen_notify=True,
                install_signal_handlers=False,
                fetch_job_polling_interval=0.05,  # it is told of one job of a batch only
            )
        )
        await asyncio.sleep(0.3)  # it says nowhere that it listens

    async def run_async(self, kind: Kind) -> None:
        number, ended = self._expect()
        await self._app.configure_task(_FIRST[kind]).defer_async(number=number, value=PAYLOAD)
        assert await asyncio.wait_for(ended, 60) == PAYLOAD

    def run_at_once(self, kind: Kind, count: int) -> None:
        async def all_of_them() -> None:
            expected = [self._expect() for _ in range(count)]
            jobs = [{"number": number, "value": PAYLOAD} for number, _ in expected]
            await self._app.configure_task(_FIRST[kind]).batch_defer_async(*jobs)
            await asyncio.gather(*(ended for _, ended in expected))
            while (await self._app.connector.execute_query_one_async(_LEFT))["n"]:
                await asyncio.sleep(0.002)

        self.wait(all_of_them())

    def _expect(self) -> tuple[int, "asyncio.Future[Any]"]:
        number = next(self._numbers)
        self._ended[number] = ended = self.loop.create_future()
        return number, ended


def open_engine(_directory: Path, url: str | None, _variant: str) -> Engine:
    """Start a worker on an empty database."""
    assert url is not None
    return _Procrastinate(url)
