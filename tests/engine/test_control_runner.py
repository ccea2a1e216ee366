"""Cancelling, pausing and limiting real executions in threads, on loops and in workers."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Fatal,
    Retry,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import ExecutionNotFoundError
from cloacina.packages.config import PackageConfig
from engine.gate import Gate
from packages.makers import a_package, a_trust

QUICK = DefaultRunnerConfig(cancel_grace_seconds=0.05, shutdown_timeout_seconds=5)


@pytest.fixture
def runner(runtime: Runtime, tmp_path: Path) -> Iterator[DefaultRunner]:
    packages = PackageConfig(home=tmp_path / "home", trust=a_trust(pattern="*"))
    with DefaultRunner(
        tmp_path / "c.db", runtime=runtime, config=QUICK, packages=packages
    ) as opened:
        yield opened


def test_a_cancelled_coroutine_gets_its_cancelled_error(runner: DefaultRunner) -> None:
    began, seen = threading.Event(), []
    with WorkflowBuilder("waits"):

        @task
        async def waits(_context: Context) -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    handle = runner.submit("waits")
    assert began.wait(10)
    runner.cancel(handle.id)
    result = handle.wait(10)
    assert (result.status, result.tasks["waits"].status) == ("Cancelled", "Cancelled")
    assert seen == ["cancelled"]


def test_a_coroutine_that_takes_too_long_has_cleaned_up_before_it_is_tried_again(
    runtime: Runtime, tmp_path: Path
) -> None:
    steps: list[str] = []
    with WorkflowBuilder("slow"):

        @task(timeout="100ms", retry_attempts=2, retry_delay=0)
        async def slow(_context: Context) -> None:
            steps.append("begins")
            if len(steps) > 1:
                return
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                for _ in range(3):
                    await asyncio.sleep(0)
                steps.append("is clean")

    config = DefaultRunnerConfig(cancel_grace_seconds=60)
    with DefaultRunner(tmp_path / "long.db", runtime=runtime, config=config) as runner:
        result = runner.execute("slow", timeout=10)
    assert (result.status, result.tasks["slow"].attempts) == ("Completed", 2)
    assert steps == ["begins", "is clean", "begins"]


def test_a_thread_that_goes_on_is_given_up_and_its_result_discarded(
    runner: DefaultRunner,
) -> None:
    gate = Gate()
    with WorkflowBuilder("deaf"):

        @task
        def deaf(context: Context) -> None:
            gate.pass_through()
            context["late"] = True

    handle = runner.submit("deaf")
    gate.await_body()
    handle.cancel()
    result = handle.wait(10)
    assert (result.status, result.final_context.to_dict()) == ("Cancelled", {})
    assert "goes on: it keeps its slot" in (result.tasks["deaf"].reason or "")
    gate.open()


def test_a_worker_that_does_not_end_is_killed(runner: DefaultRunner, tmp_path: Path) -> None:
    source = """
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task
    def forever(context):
        while True:
            pass

@workflow(name="quick")
class Quick:
    @task
    def quick(context):
        context["done"] = True
"""
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    handle = runner.submit("w")
    handle.cancel()
    assert handle.wait(10).status == "Cancelled"
    assert runner.execute("quick", timeout=10).final_context["done"] is True


def test_a_worker_that_takes_too_long_is_killed_and_the_task_retried(
    runner: DefaultRunner, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    source = f"""
import pathlib
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task(timeout=1, retry_attempts=20, retry_delay_ms=1)  # a new worker may be slow to start
    def slow_once(context):
        marker = pathlib.Path({str(marker)!r})
        if not marker.exists():
            marker.touch()
            while True:
                pass
"""
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    result = runner.execute("w", timeout=60)
    assert result.status == "Completed"
    assert result.tasks["slow_once"].attempts >= 2


def test_a_worker_tells_what_its_task_asked_for(runner: DefaultRunner, tmp_path: Path) -> None:
    source = """
from cloacina_sdk import Fatal, task, workflow

@workflow(name="w")
class W:
    @task(retry_attempts=5, retry_delay_ms=1)
    def hopeless(context):
        raise Fatal("no such customer")
"""
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    result = runner.execute("w", timeout=20)
    assert (result.status, result.tasks["hopeless"].attempts) == ("Failed", 1)
    assert "no such customer" in (result.error_message or "")


def test_retry_and_fatal_decide_over_the_policy(runner: DefaultRunner) -> None:
    calls: list[str] = []
    with WorkflowBuilder("asks"):

        @task(retry_attempts=5, retry_condition="never")
        def asks(_context: Context) -> None:
            calls.append("call")
            if len(calls) == 1:
                raise Retry("not yet", after=0.001)
            raise Fatal("enough")

    assert runner.execute("asks", timeout=10).status == "Failed"
    assert calls == ["call", "call"]


def test_a_paused_execution_waits_also_over_a_restart(runtime: Runtime, tmp_path: Path) -> None:
    gate = Gate()
    gate.define("two")

    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as first:
        handle = first.submit("two")
        gate.await_body()
        handle.pause()
        assert handle.status == "Paused"
        gate.open()
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
        again = second.handle(handle.id)
        assert again.status == "Paused"
        assert again.current().tasks["first"].status == "Completed"
        again.resume()
        assert again.wait(10).status == "Completed"


def test_another_runner_can_cancel_what_this_one_runs(
    runner: DefaultRunner, tmp_path: Path
) -> None:
    began = threading.Event()
    with WorkflowBuilder("waits"):

        @task
        async def waits(_context: Context) -> None:
            began.set()
            await asyncio.sleep(60)

    handle = runner.submit("waits")
    assert began.wait(10)
    with DefaultRunner(tmp_path / "c.db", runtime=Runtime()) as other:
        other.cancel(handle.id)
        assert other.handle(handle.id).wait(10).status == "Cancelled"
    assert handle.wait(10).status == "Cancelled"


def test_a_cancellation_left_for_an_execution_without_owner_is_done_on_takeover(
    runtime: Runtime, tmp_path: Path
) -> None:
    gate = Gate()
    gate.define("two")

    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as first:
        handle = first.submit("two")
        gate.await_body()
        first.pause(handle.id)
        gate.open()
    with DefaultRunner(tmp_path / "c.db", runtime=Runtime()) as stranger:
        stranger.cancel(handle.id)
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
        assert second.handle(handle.id).wait(10).status == "Cancelled"
    assert gate.ran == ["first"]


def test_asking_something_of_an_execution_that_does_not_exist_is_an_error(
    runner: DefaultRunner,
) -> None:
    with pytest.raises(ExecutionNotFoundError):
        runner.cancel("nope")


def test_a_workflow_that_takes_too_long_fails(runner: DefaultRunner) -> None:
    with WorkflowBuilder("slow").timeout("50ms"):

        @task
        async def waits(_context: Context) -> None:
            await asyncio.sleep(60)

    result = runner.execute("slow", timeout=10)
    assert result.status == "Failed"
    assert result.error_message == "WorkflowTimeout: it did not end within 0.05 s"
