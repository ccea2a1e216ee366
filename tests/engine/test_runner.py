"""Workflows on the real engine and a real SQLite file."""

import asyncio
import contextvars
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    RetryPolicy,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    AmbiguousWorkflowError,
    ExecutionNotFoundError,
    ForkedRunnerError,
    InvalidConfigError,
    RunnerClosedError,
    RunningLoopError,
    TaskFailedError,
    UnknownWorkflowError,
    WaitTimeoutError,
)
from cloacina_sdk.collect import collecting
from cloacina_sdk.errors import InvalidContextValueError
from cloacina_sdk.hooks import ExecutionInfo, hookimpl
from cloacina_sdk.json_text import MAX_DEPTH, JsonValue

QUICK = RetryPolicy.builder().max_attempts(3).initial_delay(0.001).with_jitter(False).build()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    own = Runtime()
    with collecting(own.collection):
        yield own


@pytest.fixture
def runner(runtime: Runtime, tmp_path: Path) -> Iterator[DefaultRunner]:
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as opened:
        yield opened


def test_a_workflow_runs_in_order_and_returns_the_final_context(runner: DefaultRunner) -> None:
    with WorkflowBuilder("sum"):

        @task
        def first(context: Context) -> None:
            context["steps"] = ["first"]

        @task(dependencies=[first])
        def second(context: Context) -> dict[str, list[str]]:
            return {"steps": [*context["steps"], "second"]}  # type: ignore[misc]  # a JSON list

    result = runner.execute("sum", {"x": 1})
    assert result.status == "Completed"
    assert result.final_context.to_dict() == {"x": 1, "steps": ["first", "second"]}
    assert result.input_context.to_dict() == {"x": 1}
    assert [t.attempts for t in result.tasks.values()] == [1, 1]
    assert result.error_message is None
    result.raise_for_status()


def test_a_failing_task_is_a_result_that_names_the_task_and_its_error(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("bad"):

        @task(retry_attempts=1)
        def breaks(_context: Context) -> None:
            raise ValueError("the disk is round")

        @task(dependencies=[breaks])
        def after(_context: Context) -> None: ...

    result = runner.execute("bad")
    assert result.status == "Failed"
    assert result.error_message == "task 'breaks' failed: ValueError: the disk is round"
    assert result.tasks["after"].reason == "dependency 'breaks' failed"
    with pytest.raises(TaskFailedError, match="the disk is round"):
        result.raise_for_status()


def test_a_failed_attempt_is_retried_and_every_attempt_is_recorded(
    runner: DefaultRunner, tmp_path: Path
) -> None:
    calls = []
    with WorkflowBuilder("flaky"):

        @task(retry=QUICK)
        def flaky(_context: Context) -> dict[str, int]:
            calls.append(1)
            if len(calls) < 3:
                raise OSError("not yet")
            return {"calls": len(calls)}

    result = runner.execute("flaky")
    assert (result.status, result.final_context["calls"]) == ("Completed", 3)
    assert result.tasks["flaky"].attempts == 3
    with sqlite3.connect(tmp_path / "c.db") as database:
        rows = database.execute("SELECT number, outcome, error_message FROM task_attempts")
        assert rows.fetchall() == [
            (1, "Failed", "not yet"),
            (2, "Failed", "not yet"),
            (3, "Succeeded", None),
        ]
    database.close()


def test_an_async_task_runs_on_a_loop_of_the_engine(runner: DefaultRunner) -> None:
    with WorkflowBuilder("async"):

        @task
        async def waits(context: Context) -> None:
            await asyncio.sleep(0)
            context["thread"] = threading.current_thread().name

    result = runner.execute("async")
    assert result.final_context["thread"] == "cloacina-loop"


def test_async_with_runs_async_tasks_on_the_loop_of_the_caller(
    runtime: Runtime, tmp_path: Path
) -> None:
    loops = []
    with WorkflowBuilder("here"):

        @task
        async def where(_context: Context) -> None:
            loops.append(asyncio.get_running_loop())

    async def main() -> None:
        async with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
            result = await runner.execute_async("here")
            assert result.status == "Completed"
            assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_a_waiter_that_is_cancelled_leaves_the_execution_and_the_engine_alone(
    runner: DefaultRunner,
) -> None:
    began, release = threading.Event(), threading.Event()
    with WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            began.set()
            assert release.wait(10)

    async def main() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runner.execute_async("slow"), 0.01)
        assert await asyncio.to_thread(began.wait, 10)
        (execution,) = runner.executions()
        release.set()
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


def test_a_task_that_returns_something_else_fails_with_what_to_return(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def odd(_context: Context) -> int:
            return 7

    message = runner.execute("odd").error_message
    assert message is not None
    assert "int" in message


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_task_that_tries_to_end_the_process_fails_like_any_other(
    runner: DefaultRunner, error: BaseException
) -> None:
    with WorkflowBuilder("exits"):

        @task(retry_attempts=1)
        def exits(_context: Context) -> None:
            raise error

    result = runner.execute("exits")
    assert result.status == "Failed"
    assert type(error).__name__ in (result.error_message or "")


def a_noop(name: str) -> None:
    with WorkflowBuilder(name):

        @task
        def only(_context: Context) -> None: ...


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


def test_a_context_that_is_not_json_is_refused_with_the_path(runner: DefaultRunner) -> None:
    a_noop("w")
    with pytest.raises(InvalidContextValueError, match=r"\$\.a\[0\]"):
        runner.execute("w", {"a": [object()]})  # type: ignore[list-item]  # what is tested


def test_settings_outside_their_range_are_refused_by_name() -> None:
    with pytest.raises(InvalidConfigError, match=r"max_concurrent_tasks.*1 to 10,000"):
        DefaultRunnerConfig(max_concurrent_tasks=0)


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


def test_a_closed_runner_refuses_work_and_says_what_to_do(runtime: Runtime, tmp_path: Path) -> None:
    a_noop("w")
    runner = DefaultRunner(tmp_path / "c.db", runtime=runtime)
    runner.shutdown()
    runner.shutdown()
    with pytest.raises(RunnerClosedError, match="make a new DefaultRunner"):
        runner.submit("w")


def test_shutdown_lets_a_running_task_end_and_the_next_runner_goes_on(
    runtime: Runtime, tmp_path: Path
) -> None:
    began, release, ran = threading.Event(), threading.Event(), []
    with WorkflowBuilder("two"):

        @task
        def one(_context: Context) -> None:
            ran.append("one")
            began.set()
            assert release.wait(10)

        @task(dependencies=[one])
        def two(_context: Context) -> None:
            ran.append("two")

    runner = DefaultRunner(tmp_path / "c.db", runtime=runtime)
    handle = runner.submit("two")
    assert began.wait(10)
    closing = threading.Thread(target=runner.shutdown)
    closing.start()
    release.set()
    closing.join(10)
    with pytest.raises(RunnerClosedError):
        handle.wait(0)
    assert ran == ["one"]
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as second:
        result = second.handle(handle.id).wait(10)
    assert (result.status, ran) == ("Completed", ["one", "two"])


def test_an_execution_waits_in_the_database_until_its_workflow_is_known(
    tmp_path: Path,
) -> None:
    first, second = Runtime(), Runtime()
    began, release = threading.Event(), threading.Event()

    def define(runtime: Runtime) -> None:
        with collecting(runtime.collection), WorkflowBuilder("late"):

            @task(id="one")
            def one(_context: Context) -> None:
                began.set()
                assert release.wait(10)

            @task(dependencies=["one"])
            def two(_context: Context) -> None: ...

    define(first)
    runner = DefaultRunner(tmp_path / "c.db", runtime=first)
    handle = runner.submit("late")
    assert began.wait(10)
    release.set()
    runner.shutdown()
    with DefaultRunner(tmp_path / "c.db", runtime=second) as other:
        waiting = other.handle(handle.id)
        assert waiting.status == "Running"
        define(second)
        assert waiting.wait(10).status == "Completed"


def test_a_second_runner_on_the_same_file_sees_the_end_of_the_first_ones_work(
    runner: DefaultRunner, tmp_path: Path
) -> None:
    release = threading.Event()
    with WorkflowBuilder("slow"):

        @task
        def waits(_context: Context) -> None:
            assert release.wait(10)

    handle = runner.submit("slow")
    with DefaultRunner(tmp_path / "c.db", runtime=Runtime()) as other:
        watched = other.handle(handle.id)
        release.set()
        assert watched.wait(10).status == "Completed"


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


def test_an_idle_runner_makes_no_statement(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    real_connect = sqlite3.connect

    def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = real_connect(*args, **kwargs)  # type: ignore[call-overload]  # passed through
        connection.set_trace_callback(statements.append)
        return connection  # type: ignore[no-any-return]  # what sqlite3 returns

    monkeypatch.setattr(sqlite3, "connect", connect)
    a_noop("w")
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        runner.execute("w")
        seen = len(statements)
        assert seen > 0
        assert not threading.Event().wait(0.5)  # half a second of nothing
        assert statements[seen:] == []


def test_a_private_database_leaves_nothing_behind(runtime: Runtime) -> None:
    a_noop("w")
    with DefaultRunner(":memory:", runtime=runtime) as runner:
        assert runner.execute("w").status == "Completed"
        folder = runner._require_engine().database.path.parent
        assert folder.is_dir()
    assert not folder.exists()


def test_a_closed_runner_leaves_only_the_database_beside_itself(
    runtime: Runtime, tmp_path: Path
) -> None:
    a_noop("w")
    with DefaultRunner(tmp_path / "c.db", runtime=runtime) as runner:
        runner.execute("w")
    assert [path.name for path in tmp_path.iterdir()] == ["c.db"]


def test_an_execution_that_does_not_exist_is_named(runner: DefaultRunner) -> None:
    with pytest.raises(ExecutionNotFoundError, match="no execution 'nope'"):
        runner.execution("nope")


def test_the_list_of_executions_is_newest_first(runner: DefaultRunner) -> None:
    a_noop("a")
    a_noop("b")
    ids = [runner.execute(name).execution_id for name in ("a", "b", "a")]
    assert [found.execution_id for found in runner.executions()] == ids[::-1]
    assert [found.execution_id for found in runner.executions(workflow="b")] == [ids[1]]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_runner_inherited_through_fork_says_so_in_the_child(runner: DefaultRunner) -> None:
    a_noop("w")

    def in_child() -> bytes:
        try:
            runner.submit("w")
        except ForkedRunnerError as error:
            return str(error).encode()
        return b"no error"

    assert b"make a DefaultRunner in the child" in _answer_of_a_fork(in_child)
    assert runner.execute("w").status == "Completed"


def _answer_of_a_fork(ask: Callable[[], bytes]) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, ask())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def test_a_redefined_workflow_leaves_a_run_in_flight_on_its_graph(
    runner: DefaultRunner,
) -> None:
    began, release = threading.Event(), threading.Event()
    with WorkflowBuilder("w"):

        @task(id="one")
        def one(_context: Context) -> None:
            began.set()
            assert release.wait(10)

        @task(id="two", dependencies=["one"])
        def two(context: Context) -> None:
            context["two"] = "ran"

    handle = runner.submit("w")
    assert began.wait(10)
    with WorkflowBuilder("w"):

        @task(id="two")
        def alone(context: Context) -> None:
            context["two"] = "replaced"

        @task(id="three")
        def three(_context: Context) -> None: ...

    release.set()
    result = handle.wait(10)
    assert result.status == "Completed"
    assert list(result.tasks) == ["one", "two"]


@pytest.mark.parametrize("priority", [2**63, "high", 1.5, None, True])
def test_a_priority_that_is_none_is_refused(runner: DefaultRunner, priority: object) -> None:
    a_noop("w")
    with pytest.raises(InvalidConfigError, match="priority"):
        runner.submit("w", priority=priority)  # type: ignore[arg-type]  # what is tested
    assert runner.execute("w").status == "Completed"


def test_a_hook_that_would_wait_for_the_engine_is_told_so(
    runner: DefaultRunner, caplog: pytest.LogCaptureFixture
) -> None:
    a_noop("w")

    class Impatient:
        @hookimpl
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
            runner.submit("w")

    runner.add_plugin(Impatient())
    assert runner.execute("w").status == "Completed"
    assert runner.execute("w").status == "Completed"
    assert "hand it to a thread of yours" in caplog.text


def test_values_as_deep_as_is_allowed_can_be_merged(runner: DefaultRunner) -> None:
    def deep(leaf: int) -> JsonValue:
        value: JsonValue = leaf
        for _ in range(MAX_DEPTH):
            value = {"a": value}
        return value

    with WorkflowBuilder("deep"):

        @task
        def left(context: Context) -> None:
            context["k"] = deep(1)

        @task
        def right(context: Context) -> None:
            context["k"] = deep(2)

        @task(dependencies=[left, right])
        def join(_context: Context) -> None: ...

        @task(retry_attempts=1)
        def deeper(context: Context) -> None:
            context["deeper"] = [deep(1)]

    result = runner.execute("deep")
    assert result.tasks["join"].status == "Completed"
    assert "nested over 200 levels" in (result.tasks["deeper"].error or "")
    assert result.final_context["k"] == deep(2)


def test_an_error_with_an_odd_name_is_recorded_all_the_same(runner: DefaultRunner) -> None:
    odd = type("Odd", (Exception,), {"__module__": "m\0\udcff"})
    with WorkflowBuilder("odd"):

        @task(retry_attempts=1)
        def fails(_context: Context) -> None:
            raise odd("\udcff")

    result = runner.execute("odd")
    assert result.status == "Failed"
    assert runner.execution(result.execution_id).error_message == result.error_message
