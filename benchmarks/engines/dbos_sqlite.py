"""DBOS on SQLite, as it comes or (``wal``) with the file set to WAL, ``synchronous=FULL``.

Chains are synchronous workflows that call steps; the fan-out is an asynchronous one that awaits
its steps together, which is the documented way to run steps in parallel.
"""

import asyncio
import sqlite3
import threading
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


class _Dbos:
    def __init__(self, directory: Path, concurrency: int, variant: str) -> None:
        path = directory / "dbos.sqlite"
        self.durability = "SQLite rollback journal, synchronous=FULL"
        if variant == "wal":
            self.durability = "SQLite WAL, synchronous=FULL"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": f"sqlite:///{path}",
            "run_admin_server": False,
            "log_level": "ERROR",
            "application_version": "1",
            "max_executor_threads": max(16, concurrency * 2),
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

    def close(self) -> None:
        DBOS.destroy()


def open_engine(directory: Path, concurrency: int, variant: str) -> Engine:
    """Launch DBOS on a new file."""
    return _Dbos(directory, concurrency, variant)
