"""Cloacina on SQLite: WAL, ``synchronous=FULL``."""

from pathlib import Path

from workloads import FAN, PAYLOAD, Engine, Kind

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting


def _copy(context: Context) -> None:
    context["x"] = dict(context["x"])


def _define() -> None:
    with WorkflowBuilder("single"):
        task(id="a")(_copy)
    with WorkflowBuilder("chain"):
        for name, before in (("a", []), ("b", ["a"]), ("c", ["b"])):
            task(id=name, dependencies=before)(_copy)
    with WorkflowBuilder("fan"):
        task(id="head")(_copy)
        middle = [f"m{n}" for n in range(FAN)]
        for name in middle:
            task(id=name, dependencies=["head"])(_copy)
        task(id="join", dependencies=middle)(_copy)


class _Cloacina:
    durability = "SQLite WAL, synchronous=FULL"

    def __init__(self, directory: Path, concurrency: int) -> None:
        runtime = Runtime()
        with collecting(runtime.collection):
            _define()
        config = DefaultRunnerConfig(max_concurrent_tasks=max(16, concurrency * 2))
        self._runner = DefaultRunner(directory / "c.db", runtime=runtime, config=config)

    def run(self, kind: Kind) -> None:
        result = self._runner.execute(kind, {"x": PAYLOAD})
        assert result.final_context["x"] == PAYLOAD, result

    def close(self) -> None:
        self._runner.shutdown()


def open_engine(directory: Path, concurrency: int, _variant: str) -> Engine:
    """Open a runner on a new file."""
    return _Cloacina(directory, concurrency)
