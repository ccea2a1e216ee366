"""Packages loaded into a real runner and run in real workers."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloacina import DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import (
    AmbiguousWorkflowError,
    PackageInUseError,
    PackageNotLoadedError,
    UnknownWorkflowError,
)
from cloacina.packages.config import PackageConfig
from cloacina.packages.refusal import (
    PackageChangedError,
    PackageMismatchError,
    PackageRefusedError,
)
from cloacina_native.errors import PackageLoadError
from cloacina_sdk.collect import collecting
from cloacina_sdk.context import Context
from cloacina_sdk.hooks import (
    AttemptInfo,
    AttemptOutcome,
    ExecutionInfo,
    PackageInfo,
    Registrar,
    hookimpl,
)
from packages.makers import GREETER, a_package, a_trust, digest_of, without_signatures

Open = Callable[..., DefaultRunner]


@pytest.fixture
def open_runner(tmp_path: Path) -> Iterator[Open]:
    opened: list[DefaultRunner] = []

    def open_one(database: str = "c.db", **config: object) -> DefaultRunner:
        packages = PackageConfig(
            **{"home": tmp_path / "home", "trust": a_trust(pattern="*"), **config}  # type: ignore[arg-type]  # passed on
        )
        opened.append(DefaultRunner(tmp_path / database, runtime=Runtime(), packages=packages))
        return opened[-1]

    yield open_one
    for runner in opened:
        runner.shutdown()


def test_a_loaded_package_runs_in_a_worker(open_runner: Open, tmp_path: Path) -> None:
    runner = open_runner()
    loaded = runner.load_package(a_package(tmp_path))
    assert (loaded.name, loaded.version, loaded.workflows) == ("greeter", "1.0", ("greet",))
    result = runner.execute("greet", {"name": "you"}, timeout=30)
    assert result.error_message is None
    assert result.final_context["greeting"] == "HELLO YOU"
    assert result.package_digest == loaded.digest
    assert runner.execute("greeter::greet", {"name": "me"}, timeout=30).status == "Completed"


def test_loading_a_package_again_changes_nothing(open_runner: Open, tmp_path: Path) -> None:
    runner = open_runner()
    path = tmp_path / "greeter.cloacina"
    path.write_bytes(a_package(tmp_path))
    assert runner.load_package(path) is runner.load_package(str(path))


def test_two_versions_with_the_same_module_names_run_side_by_side(
    open_runner: Open, tmp_path: Path
) -> None:
    runner = open_runner()
    old = runner.load_package(a_package(tmp_path, GREETER.format(word="old")))
    before = runner.submit("greet", {"name": "x"})
    new = runner.load_package(a_package(tmp_path, GREETER.format(word="new"), version="2.0"))
    after = runner.submit("greet", {"name": "x"})
    answers = [handle.wait(30) for handle in (before, after)]
    assert [answer.final_context["greeting"] for answer in answers] == ["OLD X", "NEW X"]
    assert [answer.package_digest for answer in answers] == [old.digest, new.digest]


def test_an_execution_of_a_package_goes_on_under_its_digest_in_the_next_runner(
    open_runner: Open, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    source = f"""
import pathlib, time
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task(retry_attempts=1)
    def one(context):
        deadline = time.monotonic() + 30
        while not pathlib.Path({str(gate)!r}).exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    @task(dependencies=[one])
    def two(context):
        context["version"] = "old"
"""
    first = open_runner()
    raw = a_package(tmp_path, source, name="w", module="w_tasks")
    first.load_package(raw)
    handle = first.submit("w")
    gate.touch()
    first.shutdown()
    second = open_runner()
    newer = source.replace('"old"', '"new"')
    second.load_package(a_package(tmp_path, newer, name="w", module="w_tasks", version="2"))
    waiting = second.handle(handle.id)
    second.load_package(raw)
    assert waiting.wait(30).final_context["version"] == "old"


def test_a_crash_in_a_worker_is_one_failed_attempt(open_runner: Open, tmp_path: Path) -> None:
    marker = tmp_path / "crashed"
    source = f"""
import os, pathlib, signal
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task(retry_attempts=2, retry_delay_ms=1)
    def crashes_once(context):
        marker = pathlib.Path({str(marker)!r})
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
"""
    runner = open_runner()
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    result = runner.execute("w", timeout=30)
    assert (result.status, result.tasks["crashes_once"].attempts) == ("Completed", 2)


def test_loading_runs_nothing_of_a_package_that_is_refused(
    open_runner: Open, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    source = f"open({str(canary)!r}, 'w').close()\n" + GREETER.format(word="x")
    raw = a_package(tmp_path, source)
    canary.unlink()
    runner = open_runner(trust=a_trust(pattern="other"))
    with pytest.raises(PackageRefusedError):
        runner.load_package(raw)
    assert not canary.exists()
    assert not (tmp_path / "home").exists()
    trusting = open_runner("other.db")
    trusting.load_package(raw)
    assert canary.exists()  # so the canary would have told


def test_an_unsigned_package_needs_the_setting_and_the_argument(
    open_runner: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = without_signatures(a_package(tmp_path))
    strict, lenient = open_runner(), open_runner("other.db", allow_unsigned=True)
    for runner, said in ((strict, True), (lenient, False)):
        with pytest.raises(PackageRefusedError, match="not signed"):
            runner.load_package(raw, allow_unsigned=said)
    with caplog.at_level(logging.WARNING, "cloacina"):
        lenient.load_package(raw, allow_unsigned=True)
    assert "loading the unsigned package" in caplog.text


def test_code_that_disagrees_with_the_manifest_is_refused(
    open_runner: Open, tmp_path: Path
) -> None:
    honest = a_package(tmp_path)
    from cloacina.packages.verify import inspect

    claimed = inspect(honest).unverified_manifest.workflows
    raw = a_package(tmp_path, GREETER.format(word="other"), workflows=claimed)
    runner = open_runner()
    with pytest.raises(PackageMismatchError, match="other tasks or settings"):
        runner.load_package(raw)
    with pytest.raises(UnknownWorkflowError):
        runner.submit("greet")


def test_a_package_whose_import_fails_says_so_and_offers_nothing(
    open_runner: Open, tmp_path: Path
) -> None:
    from cloacina.packages.verify import inspect

    claimed = inspect(a_package(tmp_path)).unverified_manifest.workflows
    raw = a_package(tmp_path, "raise OSError('no licence')\n", workflows=claimed)
    with pytest.raises(PackageLoadError, match="no licence"):
        open_runner().load_package(raw)


def test_an_unpacked_file_that_was_changed_is_refused(open_runner: Open, tmp_path: Path) -> None:
    raw = a_package(tmp_path)
    open_runner().load_package(raw)
    folder = tmp_path / "home" / "store" / digest_of(raw).removeprefix("sha256:")
    module = folder / "greeter_tasks.py"
    assert module.stat().st_mode & 0o222 == 0
    module.chmod(0o644)
    module.write_text("print('other')")
    with pytest.raises(PackageChangedError, match=r"greeter_tasks\.py"):
        open_runner("other.db").load_package(raw)


def test_a_file_added_to_the_store_is_refused(open_runner: Open, tmp_path: Path) -> None:
    raw = a_package(tmp_path)
    open_runner().load_package(raw)
    folder = tmp_path / "home" / "store" / digest_of(raw).removeprefix("sha256:")
    (folder / "sitecustomize.py").write_text("")
    with pytest.raises(PackageChangedError, match="sitecustomize"):
        open_runner("other.db").load_package(raw)


def test_an_embedded_workflow_does_not_shadow_a_packaged_one(
    open_runner: Open, tmp_path: Path
) -> None:
    runner = open_runner()
    runner.load_package(a_package(tmp_path))
    with collecting(runner.runtime.collection), WorkflowBuilder("greet"):

        @task
        def mine(_context: Context) -> None: ...

    with pytest.raises(AmbiguousWorkflowError, match="embedded::greet, greeter::greet"):
        runner.submit("greet")


def test_a_package_is_unloaded_only_when_nothing_of_it_is_unfinished(
    open_runner: Open, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = f"""
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task
    def waits(context):
        open({str(gate)!r}).read()
"""
    runner = open_runner()
    loaded = runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    handle = runner.submit("w")
    with pytest.raises(PackageInUseError, match="1 executions"):
        runner.unload_package(loaded.digest)
    gate.write_text("go")
    assert handle.wait(30).status == "Completed"
    runner.unload_package(loaded.digest)
    with pytest.raises(UnknownWorkflowError):
        runner.submit("w")
    with pytest.raises(PackageNotLoadedError):
        runner.unload_package(loaded.digest)


def test_names_mean_what_was_loaded_last_and_fall_back_when_it_goes(
    open_runner: Open, tmp_path: Path
) -> None:
    runner = open_runner()
    old = a_package(tmp_path, GREETER.format(word="old"))
    new = a_package(tmp_path, GREETER.format(word="new"), version="2.0")

    def greeting() -> object:
        return runner.execute("greet", {"name": "x"}, timeout=30).final_context["greeting"]

    runner.load_package(old)
    runner.load_package(new)
    assert greeting() == "NEW X"
    runner.load_package(old)
    assert greeting() == "OLD X"
    runner.load_package(new)
    runner.unload_package(digest_of(new))
    assert greeting() == "OLD X"


def test_a_package_loaded_by_two_threads_at_once_is_loaded_once(
    open_runner: Open, tmp_path: Path
) -> None:
    runner, raw = open_runner(), a_package(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: runner.load_package(raw), range(4)))
    assert all(package is loaded[0] for package in loaded)
    assert runner.execute("greet", {"name": "x"}, timeout=30).status == "Completed"


def test_closing_a_runner_does_not_begin_what_waits_for_a_worker(
    tmp_path: Path,
) -> None:
    source = """
import time
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task(retry_attempts=1)
    def a(context): time.sleep(60)
    @task(retry_attempts=1)
    def b(context): time.sleep(60)
    @task(retry_attempts=1)
    def c(context): time.sleep(60)
"""
    packages = PackageConfig(
        home=tmp_path / "home", trust=a_trust(pattern="*"), workers_per_package=1
    )
    runner = DefaultRunner(
        tmp_path / "c.db",
        runtime=Runtime(),
        packages=packages,
        config=DefaultRunnerConfig(shutdown_timeout_seconds=0.2),
    )
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    runner.submit("w")
    closing = threading.Thread(target=runner.shutdown)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


class Spy:
    """Observes everything, and judges packages as it was told."""

    def __init__(self, verdict: str | None = None) -> None:
        self.verdict = verdict
        self.seen: list[str] = []

    @hookimpl
    def cloacina_deny_package(self, package: PackageInfo) -> str | None:
        if self.verdict == "crash":
            raise RuntimeError("no opinion")
        return self.verdict

    @hookimpl
    def cloacina_package_verified(self, package: PackageInfo) -> None:
        self.seen.append(f"verified {package.name}")

    @hookimpl
    def cloacina_package_loaded(self, package: PackageInfo) -> None:
        self.seen.append(f"loaded {package.name}")
        raise ValueError("a faulty hook is logged and left aside")

    @hookimpl
    def cloacina_package_unloaded(self, package: PackageInfo) -> None:
        self.seen.append(f"unloaded {package.name}")

    @hookimpl
    def cloacina_before_attempt(self, attempt: AttemptInfo) -> None:
        self.seen.append(f"before {attempt.namespace.task_id}")

    @hookimpl
    def cloacina_after_attempt(self, attempt: AttemptInfo, outcome: AttemptOutcome) -> None:
        assert outcome.duration_s >= 0
        self.seen.append(f"after {attempt.namespace.task_id} {outcome.status}")
        raise ValueError("a faulty hook is logged and left aside")

    @hookimpl
    def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
        self.seen.append(f"finished {execution.status}")


def test_hooks_see_the_life_of_a_package_and_of_an_execution(
    open_runner: Open, tmp_path: Path
) -> None:
    runner, spy = open_runner(), Spy()
    runner.add_plugin(spy)
    loaded = runner.load_package(a_package(tmp_path))
    assert runner.execute("greet", {"name": "x"}, timeout=30).status == "Completed"
    runner.unload_package(loaded.digest)
    assert spy.seen == [
        "verified greeter",
        "loaded greeter",
        "before greet",
        "after greet Succeeded",
        "before shout",
        "after shout Succeeded",
        "finished Completed",
        "unloaded greeter",
    ]


@pytest.mark.parametrize(("verdict", "why"), [("not on Fridays", "Fridays"), ("crash", "failed")])
def test_any_plugin_can_refuse_a_package_and_one_that_fails_does(
    open_runner: Open, tmp_path: Path, verdict: str, why: str
) -> None:
    runner = open_runner()
    runner.add_plugin(Spy(verdict))
    runner.add_plugin(Spy())
    with pytest.raises(PackageRefusedError, match=why):
        runner.load_package(a_package(tmp_path))
    with pytest.raises(UnknownWorkflowError):
        runner.submit("greet")


def test_a_plugin_can_offer_packages_workflows_of_its_own(
    open_runner: Open, tmp_path: Path
) -> None:
    from cloacina.packages.verify import inspect

    specs = inspect(a_package(tmp_path)).unverified_manifest.workflows

    class Offers:
        @hookimpl
        def cloacina_register_tasks(self, registrar: Registrar) -> None:
            registrar.add(specs[0], tenant="public", package="p", package_digest="sha256:1")

    runner = open_runner()
    runner.add_plugin(Offers())
    assert runner.runtime.resolve("p::greet").package_digest == "sha256:1"


def test_what_a_task_prints_becomes_log_records_of_its_attempt(
    open_runner: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task
    def talks(context):
        print("good morning")
"""
    runner = open_runner()
    runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
    with caplog.at_level(logging.INFO, "cloacina.task"):
        result = runner.execute("w", timeout=30)
    (record,) = [found for found in caplog.records if found.getMessage() == "good morning"]
    assert record.__dict__["execution"] == result.execution_id
    assert record.__dict__["task"] == "talks"


MAPPER = """
from cloacina_sdk import task, workflow

@workflow(name="map")
class Map:
    @task(map_over="xs", map_into="ys", retry_attempts=1)
    def double(context, item):
        return 2 * item

    @task(dependencies=[double], map_over="ys", retry_attempts=1)
    async def half(context, item):
        return item // 2
"""


def test_mapped_tasks_of_a_package_run_in_its_workers(open_runner: Open, tmp_path: Path) -> None:
    runner = open_runner()
    runner.load_package(a_package(tmp_path, MAPPER, name="mapper", module="mapper_tasks"))
    result = runner.execute("map", {"xs": list(range(50))}, timeout=60)
    assert result.final_context["half"] == list(range(50))
    assert result.final_context["ys"] == [2 * x for x in range(50)]
