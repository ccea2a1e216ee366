"""The same task with a handle at home in every place: a thread, a loop, and workers of a package."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType

from cloacina import DefaultRunner, DefaultRunnerConfig, Runtime
from cloacina.packages.config import PackageConfig
from cloacina_sdk.collect import collecting
from packages.makers import a_package, a_trust

KINDS = ("thread", "loop", "worker", "worker-loop")
ONE_SLOT = DefaultRunnerConfig(
    max_concurrent_tasks=1, cancel_grace_seconds=30, shutdown_timeout_seconds=30
)

_SOURCE = """
import os
import threading
from datetime import *
from pathlib import Path
from cloacina_sdk import *

def note(path, text="run "):
    with Path(path).open("a") as file:
        file.write(text)

with WorkflowBuilder("waiting"):
    @task(id="t", {options})
    {kind} t({parameters}):
{body}

with WorkflowBuilder("plain"):
    @task(id="p")
    def p(context):
        context["ran"] = True
"""


def source_of(kind: str, body: str, options: Mapping[str, object]) -> str:
    """Return a module with the workflow ``waiting``; ``await`` is left out of sync bodies."""
    is_async = kind.endswith("loop")
    text = dedent(body).strip("\n")
    given = {"retry_delay_ms": 1, **options}
    return _SOURCE.format(
        options=", ".join(f"{name}={value!r}" for name, value in given.items()),
        kind="async def" if is_async else "def",
        parameters="context, item, handle" if "map_over" in options else "context, handle",
        body=indent(text if is_async else text.replace("await ", ""), " " * 8),
    )


@contextmanager
def at_home(
    kind: str,
    folder: Path,
    body: str,
    *,
    config: DefaultRunnerConfig = ONE_SLOT,
    **options: object,
) -> Iterator[DefaultRunner]:
    """Run a runner that has the workflows ``waiting``, of one task with this body, and ``plain``."""
    source = source_of(kind, body, options)
    if not kind.startswith("worker"):
        with DefaultRunner(
            folder / "c.db", runtime=_embedded(folder, source), config=config
        ) as runner:
            yield runner
        return
    packages = PackageConfig(
        home=folder / "home", trust=a_trust(pattern="*"), workers_per_package=1
    )
    with DefaultRunner(
        folder / "c.db", runtime=Runtime(), config=config, packages=packages
    ) as runner:
        runner.load_package(a_package(folder, source, name="p", module="p_tasks"))
        yield runner


def _embedded(folder: Path, source: str) -> Runtime:
    path = folder / "embedded_tasks.py"
    path.write_text(source)
    module = ModuleType("embedded_tasks")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    runtime = Runtime()
    with collecting(runtime.collection):
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - our own source
    return runtime
