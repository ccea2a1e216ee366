"""Cloacina on SQLite or PostgreSQL, as it comes but for its number of slots."""

import asyncio
from pathlib import Path

from workloads import FAN, PAYLOAD, Engine, Kind

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting

_SLOTS = 16


def _copy(context: Context) -> None:
    value = context["x"]
    assert isinstance(value, dict)
    context["x"] = dict(value)


def _define() -> None:
    with WorkflowBuilder("single"):
        task(id="a")(_copy)
    with WorkflowBuilder("chain"):
        for name, before in (("a", []), ("b", ["a"]), ("c", ["b"])):
            task(id=name, dependencies=list(before))(_copy)
    with WorkflowBuilder("fan"):
        task(id="head")(_copy)
        middle = [f"m{n}" for n in range(FAN)]
        for name in middle:
            task(id=name, dependencies=["head"])(_copy)
        task(id="join", dependencies=list(middle))(_copy)


class _Cloacina(Engine):
    def __init__(self, directory: Path, url: str | None) -> None:
        runtime = Runtime()
        with collecting(runtime.collection):
            _define()
        config = DefaultRunnerConfig(max_concurrent_tasks=_SLOTS)
        self.durability = "synchronous_commit=on" if url else "WAL, synchronous=FULL"
        self._runner = DefaultRunner(url or directory / "c.db", runtime=runtime, config=config)

    def run(self, kind: Kind) -> None:
        result = self._runner.execute(kind, {"x": PAYLOAD})
        assert result.final_context["x"] == PAYLOAD, result

    def run_at_once(self, kind: Kind, count: int) -> None:
        async def submit_all() -> None:
            runs = (self._runner.execute_async(kind, {"x": PAYLOAD}) for _ in range(count))
            for result in await asyncio.gather(*runs):
                assert result.final_context["x"] == PAYLOAD, result

        asyncio.run(submit_all())

    def close(self) -> None:
        self._runner.shutdown()


def open_engine(directory: Path, url: str | None, _variant: str) -> Engine:
    """Open a runner on a new database."""
    return _Cloacina(directory, url)
