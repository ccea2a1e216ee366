"""What another process cancels or pauses: its slot comes free as soon as it can, and not sooner."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from cloacina import (
    Answer,
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.model.explanation import Reason
from cloacina.packages.config import PackageConfig
from engine.databases import Where
from engine.gate import DEADLINE_S, Gate
from engine.waiting import eventually
from packages.makers import a_package, a_trust

NEVER_S = 600.0
"""A time of grace that no test lives to see."""


def one_slot(grace_s: float) -> DefaultRunnerConfig:
    return DefaultRunnerConfig(max_concurrent_tasks=1, cancel_grace_seconds=grace_s)


def from_another_process(where: Where, verb: str, execution_id: str) -> None:
    arguments = ["execution", verb, execution_id, "--database", where.url]
    subprocess.run(
        [sys.executable, "-m", "cloacina.ctl", *arguments], check=True, timeout=DEADLINE_S
    )


def define_quick() -> None:
    with WorkflowBuilder("quick"):

        @task
        def quick(_context: Context) -> None: ...


def test_a_cancelled_coroutine_frees_its_slot_long_before_its_grace_is_over(
    where: Where, runtime: Runtime
) -> None:
    began = threading.Event()
    with WorkflowBuilder("slow"):

        @task
        async def slow(_context: Context) -> None:
            began.set()
            await asyncio.get_running_loop().create_future()

    define_quick()
    with DefaultRunner(where.url, runtime=runtime, config=one_slot(NEVER_S)) as runner:
        handle = runner.submit("slow")
        assert began.wait(DEADLINE_S)
        from_another_process(where, "cancel", handle.id)
        assert handle.wait(DEADLINE_S).status == "Cancelled"
        assert runner.execute("quick", timeout=DEADLINE_S).status == "Completed"


def test_a_worker_that_is_deaf_is_killed_after_its_grace_and_frees_its_slot(
    where: Where, runtime: Runtime, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    os.mkfifo(began)
    source = dedent(f"""
        from cloacina_sdk import task, workflow

        @workflow(name="slow")
        class Slow:
            @task
            def slow(context):
                open({json.dumps(str(began))}, "w").close()
                while True:
                    pass
    """)
    define_quick()
    packages = PackageConfig(home=tmp_path / "home", trust=a_trust(pattern="*"))
    with DefaultRunner(
        where.url, runtime=runtime, config=one_slot(0.2), packages=packages
    ) as runner:
        runner.load_package(a_package(tmp_path, source, name="p", module="p_tasks"))
        handle = runner.submit("slow")
        began.read_text()  # returns when the body has opened and closed it
        from_another_process(where, "cancel", handle.id)
        result = handle.wait(DEADLINE_S)
        assert result.status == "Cancelled"
        assert "was killed" in (result.tasks["slow"].reason or "")
        assert runner.execute("quick", timeout=DEADLINE_S).status == "Completed"


def test_cancelling_a_thread_does_not_wait_for_it(
    where: Where, runtime: Runtime, gate: Gate
) -> None:
    gate.define("deaf")
    with DefaultRunner(where.url, runtime=runtime, config=one_slot(NEVER_S)) as runner:
        handle = runner.submit("deaf")
        gate.await_body()
        assert handle.cancel() is Answer.GRANTED  # while the body is where it was
        assert handle.status == "Running"
        gate.open()
        assert handle.wait(DEADLINE_S).status == "Cancelled"
        assert gate.ran == ["first"]


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_thread_that_goes_on_is_said_to_and_keeps_its_slot_until_it_ends(
    where: Where, runtime: Runtime, gate: Gate, is_elsewhere: bool
) -> None:
    gate.define("deaf")
    define_quick()
    with DefaultRunner(where.url, runtime=runtime, config=one_slot(0.2)) as runner:
        handle = runner.submit("deaf")
        gate.await_body()
        if is_elsewhere:
            from_another_process(where, "cancel", handle.id)
        else:
            handle.cancel()
        result = handle.wait(DEADLINE_S)
        assert result.status == "Cancelled"
        assert "goes on: it keeps its slot" in (result.tasks["first"].reason or "")
        after = runner.submit("quick")
        assert runner.explain(after.id, "quick").reason is Reason.SLOT
        gate.open()
        assert after.wait(DEADLINE_S).status == "Completed"


def test_what_another_process_pauses_starts_nothing_until_it_is_resumed(
    where: Where, runtime: Runtime, gate: Gate
) -> None:
    gate.define("two")
    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("two")
        gate.await_body()
        from_another_process(where, "pause", handle.id)
        gate.open()
        eventually(lambda: handle.current().tasks["first"].status == "Completed")
        assert (handle.status, gate.ran) == ("Paused", ["first"])
        from_another_process(where, "resume", handle.id)
        assert handle.wait(DEADLINE_S).status == "Completed"
        assert gate.ran == ["first", "second"]
