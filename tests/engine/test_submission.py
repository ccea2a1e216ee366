"""How executions are asked for and waited for, and what is refused."""

import asyncio
import contextvars
import threading
from datetime import timedelta

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    AmbiguousWorkflowError,
    ExecutionNotFoundError,
    InvalidConfigError,
    InvalidInputError,
    InvalidWorkflowError,
    RunningLoopError,
    UnknownWorkflowError,
    WaitTimeoutError,
)
from cloacina_sdk.errors import InvalidContextValueError, InvalidDurationError
from engine.gate import Gate
from engine.workflows import a_noop


def test_an_unknown_workflow_is_refused_with_the_nearest_names(runner: DefaultRunner) -> None:
    a_noop("collect_data")
    with pytest.raises(UnknownWorkflowError, match="did you mean 'collect_data'"):
        runner.execute("colect_data")


def test_a_name_that_fits_several_packages_is_refused_with_the_list(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    a_noop("twice")
    spec = runtime.resolve("twice").topology.workflow
    runtime.add(spec, tenant="public", package="other", package_digest="sha256:0")
    with pytest.raises(AmbiguousWorkflowError, match="embedded::twice, other::twice"):
        runner.execute("twice")
    assert runner.execute("embedded::twice").status == "Completed"


def test_a_name_that_two_tenants_have_is_told_apart_by_the_tenant(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    a_noop("twice")
    spec = runtime.resolve("twice").topology.workflow
    runtime.add(spec, tenant="acme", package="embedded", package_digest="sha256:0")
    told = "acme::embedded::twice, public::embedded::twice"
    for name in ("twice", "embedded::twice"):
        with pytest.raises(AmbiguousWorkflowError, match=told):
            runner.execute(name)
    assert runner.execute("public::embedded::twice").status == "Completed"
    assert runtime.resolve("acme::embedded::twice").tenant == "acme"
    with pytest.raises(UnknownWorkflowError, match="did you mean 'acme::embedded::twice'"):
        runner.execute("acma::embedded::twice")


def test_a_context_that_is_not_json_is_refused_with_the_path(runner: DefaultRunner) -> None:
    a_noop("w")
    with pytest.raises(InvalidContextValueError, match=r"\$\.a\[0\]"):
        runner.execute("w", {"a": [object()]})  # type: ignore[list-item]  # what is tested


@pytest.mark.parametrize("given", [[1, 2], [], "abc", "", 5, 0, False])
def test_an_input_that_is_no_mapping_is_refused(runner: DefaultRunner, given: object) -> None:
    a_noop("w")
    with pytest.raises(InvalidInputError, match="not a " + type(given).__name__):
        runner.execute("w", given)  # type: ignore[arg-type]  # what is tested


def test_a_workflow_is_given_by_its_name_or_as_itself(
    runner: DefaultRunner, runtime: Runtime
) -> None:
    a_noop("w")
    (workflow,) = runtime.collection.workflows()
    assert runner.execute(workflow).status == "Completed"
    for given in (None, 5, b"w", type):
        with pytest.raises(InvalidWorkflowError, match="given by its name"):
            runner.submit(given)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("limit", ["x", -1, 1.5, True, None, 2**70])
def test_a_limit_of_a_list_that_is_none_is_refused(runner: DefaultRunner, limit: object) -> None:
    with pytest.raises(InvalidConfigError, match=r"limit.*from 0 to 1,000,000"):
        runner.executions(limit=limit)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("status", "hint"),
    [("Bogus", "one of Pending, "), ("faild", "did you mean 'Failed'"), (5, "one of Pending")],
)
def test_a_status_that_there_is_not_is_refused(
    runner: DefaultRunner, status: object, hint: str
) -> None:
    with pytest.raises(InvalidConfigError, match=hint):
        runner.executions(status=status)  # type: ignore[arg-type]  # what is tested
    assert runner.executions(status="Failed", limit=0) == []


@pytest.mark.parametrize("timeout", ["30s", timedelta(seconds=30), 30, 30.0, 10**9])
def test_how_long_to_wait_is_said_as_elsewhere(
    runner: DefaultRunner, timeout: timedelta | float | str
) -> None:
    a_noop("w")
    assert runner.execute("w", timeout=timeout).status == "Completed"
    assert runner.submit("w").wait(timeout).status == "Completed"


@pytest.mark.parametrize("timeout", ["soon", True, float("nan"), [5]])
def test_what_is_no_time_is_refused_before_anything_is_started(
    runner: DefaultRunner, timeout: object
) -> None:
    a_noop("w")
    with pytest.raises(InvalidDurationError):
        runner.execute("w", timeout=timeout)  # type: ignore[arg-type]  # what is tested
    assert runner.executions() == []
    with pytest.raises(InvalidDurationError):
        runner.submit("w").wait(timeout)  # type: ignore[arg-type]  # what is tested


def test_the_version_that_ran_is_told(runner: DefaultRunner, runtime: Runtime) -> None:
    a_noop("w")
    version = runtime.resolve("w").version
    assert runner.execute("w").workflow_version == version
    assert [each.workflow_version for each in runner.executions()] == [version]


@pytest.mark.parametrize("priority", [2**63, "high", 1.5, None, True])
def test_a_priority_that_is_none_is_refused(runner: DefaultRunner, priority: object) -> None:
    a_noop("w")
    with pytest.raises(InvalidConfigError, match="priority"):
        runner.submit("w", priority=priority)  # type: ignore[arg-type]  # what is tested
    assert runner.execute("w").status == "Completed"


def test_a_wait_that_is_too_short_leaves_the_execution_alone(runner: DefaultRunner) -> None:
    release = threading.Event()
    with WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            assert release.wait(10)

    handle = runner.submit("slow")
    with pytest.raises(WaitTimeoutError):
        handle.wait(timeout=0.01)
    assert handle.status == "Running"
    release.set()
    assert handle.wait(timeout=10).status == "Completed"
    assert handle.status == "Completed"


def test_a_waiter_that_is_cancelled_leaves_the_execution_and_the_engine_alone(
    runner: DefaultRunner,
) -> None:
    gate = Gate()
    with WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            gate.pass_through()

    async def main() -> str:
        waiter = asyncio.ensure_future(runner.execute_async("slow"))
        await asyncio.to_thread(gate.await_body)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiter, 0.01)
        (execution,) = runner.executions()
        gate.open()
        return (await runner.handle(execution.execution_id).wait_async()).status

    assert asyncio.run(main()) == "Completed"


def test_execute_inside_a_running_loop_names_what_to_call(runner: DefaultRunner) -> None:
    async def main() -> None:
        with pytest.raises(RunningLoopError, match="execute_async"):
            runner.execute("any")

    asyncio.run(main())


def test_context_variables_of_the_submitter_reach_the_task(runner: DefaultRunner) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    with WorkflowBuilder("vars"):

        @task
        def asks(context: Context) -> None:
            context["who"] = who.get()
            who.set("changed by the task")

    who.set("me")
    assert runner.execute("vars").final_context["who"] == "me"
    assert who.get() == "me"


def test_many_executions_from_many_threads_all_complete(runner: DefaultRunner) -> None:
    with WorkflowBuilder("echo"):

        @task
        def echo(context: Context) -> dict[str, object]:
            return {"echoed": context["n"]}

    def run(numbers: range, answers: list[object]) -> None:
        handles = [runner.submit("echo", {"n": n}) for n in numbers]
        answers += [handle.wait(30).final_context["echoed"] for handle in handles]

    answers: list[object] = []
    threads = [
        threading.Thread(target=run, args=(range(k * 25, k * 25 + 25), answers)) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, answers)) == sorted(map(str, range(100)))


def test_an_execution_that_does_not_exist_is_named(runner: DefaultRunner) -> None:
    with pytest.raises(ExecutionNotFoundError, match="no execution 'nope'"):
        runner.execution("nope")


def test_the_list_of_executions_is_newest_first(runner: DefaultRunner) -> None:
    a_noop("a")
    a_noop("b")
    ids = [runner.execute(name).execution_id for name in ("a", "b", "a")]
    assert [found.execution_id for found in runner.executions()] == ids[::-1]
    assert [found.execution_id for found in runner.executions(workflow="b")] == [ids[1]]


def test_settings_outside_their_range_are_refused_by_name() -> None:
    with pytest.raises(InvalidConfigError, match=r"max_concurrent_tasks.*1 to 10,000"):
        DefaultRunnerConfig(max_concurrent_tasks=0)
