"""Executors that plug in, under a whole runner on both databases."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloacina import (
    Answer,
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    RoutingConfig,
    RoutingRule,
    Runtime,
    TaskExecutor,
    WorkflowBuilder,
    task,
)
from cloacina.errors import InvalidRoutingError, UnknownExecutorError, WrongExecutorError
from cloacina.model.explanation import Reason
from cloacina.packages.config import PackageConfig
from cloacina_sdk.hooks import hookimpl
from engine.databases import Where
from engine.executors import conformity
from engine.executors.gate import DEADLINE_S, Gate
from engine.executors.process_executor import ProcessExecutor
from engine.waiting import eventually
from packages.makers import a_package, a_trust

QUICK = DefaultRunnerConfig(cancel_grace_seconds=0.1, shutdown_timeout_seconds=10)
FAR = RoutingConfig(rules=[RoutingRule("*::far-*", "far")])


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


def a_far_workflow(body: Callable[..., Any], **options: Any) -> None:
    """One task that ``FAR`` sends away, and one behind it that stays."""
    with WorkflowBuilder("w"):
        task(id="far-task", **options)(body)

        @task(id="near-task", dependencies=["far-task"])
        def near(context: Context) -> None:
            context["seen"] = sorted(context)


def test_a_task_runs_where_a_rule_sends_it_and_the_rest_where_its_kind_does(
    runtime: Runtime, where: Where
) -> None:
    far = ProcessExecutor()
    a_far_workflow(conformity.adds)
    with DefaultRunner(where.url, runtime=runtime, executors={"far": far}, routing=FAR) as runner:
        result = runner.execute("w", {"a": 1, "b": 2}, timeout=DEADLINE_S)
        metrics = runner.executor_metrics()
    assert result.final_context.to_dict() == {"b": 2, "sum": 3, "seen": ["b", "sum"]}
    (event,) = far.events
    assert str(event.namespace) == "public::embedded::w::far-task"
    assert event.timeout_ms == 300_000
    assert (metrics["far"].total_succeeded, metrics["thread"].total_succeeded) == (1, 1)


def test_a_failed_attempt_elsewhere_is_retried_under_the_policy(
    runtime: Runtime, where: Where
) -> None:
    far = ProcessExecutor()
    a_far_workflow(conformity.stumbles, retry_attempts=2, retry_delay_ms=1)
    with DefaultRunner(where.url, runtime=runtime, executors={"far": far}, routing=FAR) as runner:
        result = runner.execute("w", timeout=DEADLINE_S)
    assert result.error_message == "task 'far-task' failed: ConnectionError: no route"
    assert [event.attempt for event in far.events] == [1, 2]
    assert len({event.token for event in far.events}) == 2


def test_cancelling_kills_what_runs_elsewhere_and_frees_its_slot(
    runtime: Runtime, where: Where, gate: Gate
) -> None:
    a_far_workflow(conformity.waits)
    one = DefaultRunnerConfig(max_concurrent_tasks=1, cancel_grace_seconds=0.1)
    executors = {"far": ProcessExecutor()}
    with DefaultRunner(
        where.url, runtime=runtime, config=one, executors=executors, routing=FAR
    ) as runner:
        handle = runner.submit("w", gate.values)
        gate.await_begun()
        handle.cancel()
        result = handle.wait(DEADLINE_S)
        assert result.status == "Cancelled"
        assert result.tasks["far-task"].reason == (
            "it did not end within 0.1 s of being cancelled, and was killed"
        )
        with WorkflowBuilder("next"):
            task(id="near")(conformity.adds)
        assert runner.execute("next", {"a": 1, "b": 1}, timeout=DEADLINE_S).status == "Completed"


def test_a_full_executor_holds_up_nobody_else(runtime: Runtime, where: Where, gate: Gate) -> None:
    a_far_workflow(conformity.waits)
    with WorkflowBuilder("local"):
        task(id="near")(conformity.adds)
    executors = {"far": ProcessExecutor(capacity=1)}
    with DefaultRunner(where.url, runtime=runtime, executors=executors, routing=FAR) as runner:
        handles = [runner.submit("w", gate.values) for _ in range(3)]
        gate.await_begun()
        local = runner.execute("local", {"a": 1, "b": 1}, timeout=DEADLINE_S)
        assert local.status == "Completed"
        assert runner.executor_metrics()["far"].active == 1
        gate.let_go(3)
        assert {handle.wait(DEADLINE_S).status for handle in handles} == {"Completed"}


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_package_that_may_have_one_worker_leaves_the_other_slots_to_others(
    runtime: Runtime, where: Where, tmp_path: Path, gate: Gate
) -> None:
    source = Path(conformity.__file__).read_text() + "\n".join(
        (
            "",
            "from cloacina_sdk import WorkflowBuilder, task",
            "with WorkflowBuilder('packaged'):",
            "    task(waits)",
        )
    )
    with WorkflowBuilder("local"):
        task(id="near")(conformity.adds)
    packages = PackageConfig(
        home=tmp_path / "home", trust=a_trust(pattern="*"), workers_per_package=1
    )
    two = DefaultRunnerConfig(max_concurrent_tasks=2, cancel_grace_seconds=0.1)
    with DefaultRunner(where.url, runtime=runtime, config=two, packages=packages) as runner:
        runner.load_package(a_package(tmp_path, source, name="p", module="p_tasks"))
        handles = [runner.submit("packaged", gate.values) for _ in range(3)]
        gate.await_begun()
        local = runner.execute("local", {"a": 1, "b": 1}, timeout=DEADLINE_S)
        assert local.status == "Completed"
        gate.let_go(3)
        assert {handle.wait(DEADLINE_S).status for handle in handles} == {"Completed"}


class Bringing:
    """A plugin that brings an executor."""

    def __init__(self, name: str = "far") -> None:
        self._name = name

    @hookimpl
    def cloacina_executors(self) -> Mapping[str, TaskExecutor]:
        return {self._name: ProcessExecutor()}


def test_a_plugin_brings_an_executor(runtime: Runtime, where: Where) -> None:
    a_far_workflow(conformity.adds)
    with DefaultRunner(where.url, runtime=runtime, plugins=[Bringing()], routing=FAR) as runner:
        result = runner.execute("w", {"a": 1, "b": 2}, timeout=DEADLINE_S)
        assert result.final_context["sum"] == 3
        with pytest.raises(ValueError, match="plugins="):
            runner.add_plugin(Bringing("other"))


def test_a_default_sends_everything_away_that_no_rule_keeps(
    runtime: Runtime, tmp_path: Path
) -> None:
    far = ProcessExecutor()
    with WorkflowBuilder("w"):
        task(id="kept")(lambda _context: None)
        task(id="sent")(conformity.returns_nonsense)
    routing = RoutingConfig(default="far", rules=[RoutingRule("*::kept", "thread")])
    with DefaultRunner(
        tmp_path / "c.db", runtime=runtime, executors={"far": far}, routing=routing
    ) as runner:
        result = runner.execute("w", timeout=DEADLINE_S)
    assert (result.tasks["kept"].status, result.tasks["sent"].status) == ("Completed", "Failed")


def refused(tmp_path: Path, **options: Any) -> None:
    DefaultRunner(tmp_path / "c.db", runtime=Runtime(), **options).shutdown()


def test_a_runner_does_not_start_with_executors_that_cannot_be(tmp_path: Path) -> None:
    far = ProcessExecutor()
    with pytest.raises(UnknownExecutorError, match=r"'far'.*loop, thread, worker"):
        refused(tmp_path, routing=FAR)
    with pytest.raises(InvalidRoutingError, match="another executor"):
        refused(tmp_path, executors={"thread": far})
    with pytest.raises(InvalidRoutingError, match="another executor"):
        refused(tmp_path, executors={"far": far}, plugins=[Bringing()])
    with pytest.raises(InvalidRoutingError, match="no name"):
        refused(tmp_path, executors={"No Name": far})
    with pytest.raises(TypeError, match="it lacks capacity"):
        refused(tmp_path, executors={"far": object()})
    with pytest.raises(TypeError, match="capacity 0"):
        refused(tmp_path, executors={"far": ProcessExecutor(capacity=0)})
    assert not (tmp_path / "c.db").exists()


@pytest.mark.parametrize(("kind", "wrong"), [("sync", "loop"), ("sync", "worker")])
def test_what_a_built_in_executor_cannot_run_is_refused_before_it_is_stored(
    runtime: Runtime, tmp_path: Path, kind: str, wrong: str
) -> None:
    with WorkflowBuilder("w"):
        task(id="only", retry_attempts=5)(conformity.adds)
    with DefaultRunner(
        tmp_path / "c.db", runtime=runtime, routing=RoutingConfig(default=wrong)
    ) as runner:
        why = f"to {wrong!r}, which cannot run it; send it to 'thread'"
        with pytest.raises(WrongExecutorError, match=why):
            runner.execute("w", timeout=DEADLINE_S)
        assert runner.executions() == []


def test_a_runner_whose_routing_does_not_fit_leaves_an_execution_to_one_whose_does(
    runtime: Runtime, where: Where, gate: Gate
) -> None:
    with WorkflowBuilder("w"):
        task(id="first")(conformity.waits)
        task(id="second", dependencies=["first"])(conformity.adds)
    wrong = RoutingConfig(rules=[RoutingRule("*::second", "loop")])
    with DefaultRunner(where.url, runtime=runtime) as first:
        handle = first.submit("w", {"a": 1, "b": 2, **gate.values})
        gate.await_begun()
        assert first.pause(handle.id) is Answer.GRANTED
        gate.let_go()
        eventually(lambda: first.execution(handle.id).tasks["first"].status == "Completed")
    with DefaultRunner(where.url, runtime=runtime, routing=wrong) as second:
        assert second.resume(handle.id) is Answer.GRANTED
        found = second.explain(handle.id)
        assert (found.reason, "'thread'" in found.sentence) == (Reason.MISROUTED, True)
        with DefaultRunner(where.url, runtime=runtime) as third:
            assert third.handle(handle.id).wait(DEADLINE_S).status == "Completed"


def test_the_code_of_a_package_never_runs_in_this_process(runtime: Runtime, tmp_path: Path) -> None:
    packages = PackageConfig(home=tmp_path / "home", trust=a_trust(pattern="*"))
    routing = RoutingConfig(default="thread")
    with DefaultRunner(
        tmp_path / "c.db", runtime=runtime, packages=packages, routing=routing
    ) as runner:
        loaded = runner.load_package(a_package(tmp_path))
        with pytest.raises(WrongExecutorError, match="send it to 'worker'"):
            runner.execute(loaded.workflows[0], timeout=DEADLINE_S)
