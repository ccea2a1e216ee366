"""Prefect with the server that it starts by itself, on SQLite; asynchronous flows and tasks.

Telemetry and the shipping of logs are off. Results are not persisted: a run that dies begins anew.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from workloads import FAN, PAYLOAD, AsyncEngine, Engine, Kind


class _Prefect(AsyncEngine):
    durability = "its server's SQLite; results are not kept"

    def __init__(self) -> None:
        super().__init__()
        from prefect import flow, task  # reads the environment when it is imported

        @task
        async def copy(value: Any) -> Any:
            return dict(value)

        @flow
        async def single(value: Any) -> Any:
            return await copy(value)

        @flow
        async def chain(value: Any) -> Any:
            return await copy(await copy(await copy(value)))

        @flow
        async def fan(value: Any) -> Any:
            head = await copy(value)
            middle = await asyncio.gather(*(copy(head) for _ in range(FAN)))
            return await copy(middle[-1])

        self._flows = {"single": single, "chain": chain, "fan": fan}

    async def run_async(self, kind: Kind) -> None:
        assert await self._flows[kind](PAYLOAD) == PAYLOAD

    def close(self) -> None:
        from prefect.server.api.server import SubprocessASGIServer

        for server in list(SubprocessASGIServer._instances.values()):
            server.stop()


def open_engine(directory: Path, _url: str | None, _variant: str) -> Engine:
    """Start Prefect with a new home."""
    os.environ.update(
        PREFECT_HOME=str(directory),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        PREFECT_LOGGING_LEVEL="ERROR",
        PREFECT_LOGGING_TO_API_ENABLED="false",
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true",
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="60",
        PREFECT_CLI_PROMPT="false",
    )
    return _Prefect()
