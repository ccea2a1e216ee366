"""edda on SQLite (set to WAL) or PostgreSQL: workflows in this process, each activity recorded."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from edda import EddaApp, WorkflowContext, activity, workflow
from workloads import FAN, PAYLOAD, AsyncEngine, Engine, Kind


@activity
async def copy(_context: WorkflowContext, value: dict) -> dict:
    return dict(value)


@activity
async def join(_context: WorkflowContext, values: list) -> dict:
    return dict(values[-1])


@workflow
async def single(context: WorkflowContext, value: dict) -> dict:
    return await copy(context, value)


@workflow
async def chain(context: WorkflowContext, value: dict) -> dict:
    return await copy(context, await copy(context, await copy(context, value)))


@workflow
async def fan(context: WorkflowContext, value: dict) -> dict:
    head = await copy(context, value)
    middle = (copy(context, head, activity_id=f"m{place}") for place in range(FAN))
    return await join(context, await asyncio.gather(*middle), activity_id="join")


_WORKFLOWS: dict[str, Any] = {"single": single, "chain": chain, "fan": fan}


class _Edda(AsyncEngine):
    def __init__(self, directory: Path, url: str | None) -> None:
        super().__init__()
        logging.disable(logging.WARNING)
        self.durability = "synchronous_commit=on"
        if url is None:
            self.durability = "WAL, synchronous=FULL"
            path = directory / "e.db"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            url = f"sqlite:///{path}"
        url = url.replace("postgresql://", "postgresql+asyncpg://")
        self._app = EddaApp(service_name="bench", db_url=url, pool_size=20, max_overflow=20)
        self.wait(self._app.initialize())

    async def run_async(self, kind: Kind) -> None:
        instance = await _WORKFLOWS[kind].start(value=PAYLOAD)
        stored = await self._app.storage.get_instance(instance)
        assert stored["status"] == "completed", stored


def open_engine(directory: Path, url: str | None, _variant: str) -> Engine:
    """Start edda on a new database."""
    return _Edda(directory, url)
