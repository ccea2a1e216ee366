"""Tasks of packages that take a handle, in real workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import DefaultRunner, DefaultRunnerConfig, ExecutionHandle, Runtime
from cloacina.packages.config import PackageConfig
from engine.databases import Where
from engine.waiting import eventually
from packages.makers import a_package, a_trust

DEADLINE_S = 60
QUICK = DefaultRunnerConfig(
    max_concurrent_tasks=1, cancel_grace_seconds=5, shutdown_timeout_seconds=10
)
SOURCE = """
import pathlib
from datetime import timedelta
from cloacina_sdk import AsyncTaskHandle, TaskHandle, task, workflow

@workflow(name="w")
class W:
    @task(retry_attempts=1)
    def approve(context, handle: TaskHandle):
        handle.checkpoint({"asked": True})
        handle.defer_until(timedelta(milliseconds=1))
        context["answer"] = handle.wait_event("approved")
        context["kept"] = handle.last_checkpoint
        handle.defer_until("stock", poll_interval="1ms")

    @task(dependencies=[approve], retry_attempts=1)
    async def confirm(context, handle: AsyncTaskHandle):
        context["confirmed"] = await handle.wait_event("confirmed")

@workflow(name="polls")
class Polls:
    @task(retry_attempts=1)
    def polls(context, handle: TaskHandle):
        marker = pathlib.Path(context["marker"])
        handle.defer_until(marker.exists, poll_interval="10ms")
        context["held"] = handle.is_slot_held()

@workflow(name="quick")
class Quick:
    @task
    def quick(context):
        context["done"] = True
"""


@pytest.fixture
def home(tmp_path: Path) -> PackageConfig:
    return PackageConfig(home=tmp_path / "home", trust=a_trust(pattern="*"), workers_per_package=1)


@pytest.fixture
def package(tmp_path: Path) -> bytes:
    return a_package(tmp_path, SOURCE, name="w", module="w_tasks")


@pytest.fixture
def runner(where: Where, home: PackageConfig, package: bytes) -> Iterator[DefaultRunner]:
    with DefaultRunner(where.url, runtime=Runtime(), config=QUICK, packages=home) as opened:
        opened.load_package(package)
        opened.register_condition("stock", lambda: True)
        yield opened


def kinds_of(handle: ExecutionHandle) -> list[str]:
    return [event.kind for event in handle.events(follow=False)]


def test_a_worker_waits_and_remembers(runner: DefaultRunner) -> None:
    handle = runner.submit("w")
    for name in ("approved", "confirmed"):
        handle.send_event(name, {"name": name})
    result = handle.wait(DEADLINE_S)
    result.raise_for_status()
    assert result.final_context.to_dict() == {
        "answer": {"name": "approved"},
        "kept": {"asked": True},
        "confirmed": {"name": "confirmed"},
    }
    assert [task.attempts for task in result.tasks.values()] == [4, 2]


def test_a_wait_in_a_package_survives_the_runner(
    where: Where, home: PackageConfig, package: bytes
) -> None:
    with DefaultRunner(where.url, runtime=Runtime(), config=QUICK, packages=home) as first:
        first.load_package(package)
        handle = first.submit("w")
        eventually(lambda: kinds_of(handle).count("task_deferred") == 2)
    with DefaultRunner(where.url, runtime=Runtime(), config=QUICK, packages=home) as second:
        second.register_condition("stock", lambda: True)
        second.load_package(package)
        heir = second.handle(handle.id)
        for name in ("approved", "confirmed"):
            heir.send_event(name)
        assert heir.wait(DEADLINE_S).status == "Completed"


def test_a_parked_worker_leaves_its_slot_to_others(runner: DefaultRunner, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    handle = runner.submit("polls", {"marker": str(marker)})
    eventually(lambda: "task_parked" in kinds_of(handle))
    assert runner.execute("quick", timeout=DEADLINE_S).status == "Completed"
    marker.touch()
    assert handle.wait(DEADLINE_S).final_context["held"] is True


def test_a_parked_worker_is_cancelled(runner: DefaultRunner, tmp_path: Path) -> None:
    handle = runner.submit("polls", {"marker": str(tmp_path / "never")})
    eventually(lambda: "task_parked" in kinds_of(handle))
    handle.cancel()
    assert handle.wait(DEADLINE_S).status == "Cancelled"
    assert runner.execute("quick", timeout=DEADLINE_S).status == "Completed"


def test_a_parked_worker_does_not_hold_up_the_end_of_a_runner(
    where: Where, home: PackageConfig, package: bytes, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    with DefaultRunner(where.url, runtime=Runtime(), config=QUICK, packages=home) as first:
        first.load_package(package)
        handle = first.submit("polls", {"marker": str(marker)})
        eventually(lambda: "task_parked" in kinds_of(handle))
    marker.touch()
    with DefaultRunner(where.url, runtime=Runtime(), config=QUICK, packages=home) as second:
        second.load_package(package)
        result = second.handle(handle.id).wait(DEADLINE_S)
    assert (result.status, result.tasks["polls"].attempts) == ("Completed", 2)
