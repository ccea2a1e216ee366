"""DBOS on PostgreSQL, or on SQLite as it comes or (``wal``) with the file set to WAL.

Chains are synchronous workflows that call steps; the fan-out is an asynchronous one that awaits
its steps together, which is the documented way to run steps in parallel.
"""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from dbos import DBOS, DBOSConfig
from workloads import FAN, PAYLOAD, Engine, Kind

Value = dict[str, object]


@DBOS.step()
def copy(value: Value) -> Value:
    return dict(value)


@DBOS.step()
async def copy_async(value: Value) -> Value:
    return dict(value)


@DBOS.workflow()
def single(value: Value) -> Value:
    return copy(value)


@DBOS.workflow()
def chain(value: Value) -> Value:
    return copy(copy(copy(value)))


@DBOS.workflow()
async def fan(value: Value) -> Value:
    head = await copy_async(value)
    middle = await asyncio.gather(*(copy_async(head) for _ in range(FAN)))
    return await copy_async(middle[-1])


class _Dbos(Engine):
    def __init__(self, directory: Path, url: str | None, variant: str) -> None:
        path = directory / "dbos.sqlite"
        self.durability = "rollback journal, synchronous=FULL"
        if url is not None:
            self.durability = "synchronous_commit=on"
        elif variant == "wal":
            self.durability = "WAL, synchronous=FULL"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": f"sqlite:///{path}" if url is None else url,
            "run_admin_server": False,
            "log_level": "ERROR",
            "application_version": "1",
            "max_executor_threads": 16,
            "notification_listener_polling_interval_sec": 0.01,
        }
        DBOS(config=config)
        DBOS.launch()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, kind: Kind) -> None:
        match kind:
            case "single":
                value = single(PAYLOAD)
            case "chain":
                value = chain(PAYLOAD)
            case "fan":
                value = asyncio.run_coroutine_threadsafe(fan(PAYLOAD), self._loop).result()
        assert value == PAYLOAD, value

    def run_batch(self, kind: Kind, count: int, concurrency: int) -> list[float]:
        if kind != "fan":
            return super().run_batch(kind, count, concurrency)

        async def batch() -> list[float]:
            turns = asyncio.Semaphore(concurrency)

            async def one() -> float:
                async with turns:
                    begun = time.perf_counter()
                    assert await fan(PAYLOAD) == PAYLOAD
                    return time.perf_counter() - begun

            return list(await asyncio.gather(*(one() for _ in range(count))))

        return asyncio.run_coroutine_threadsafe(batch(), self._loop).result()

    def run_at_once(self, kind: Kind, count: int) -> None:
        assert kind == "single"
        handles = [DBOS.start_workflow(single, PAYLOAD) for _ in range(count)]
        assert all(handle.get_result() == PAYLOAD for handle in handles)

    def close(self) -> None:
        DBOS.destroy()


def open_engine(directory: Path, url: str | None, variant: str) -> Engine:
    """Launch DBOS on a new database."""
    return _Dbos(directory, url, variant)
