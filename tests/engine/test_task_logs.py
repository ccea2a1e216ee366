"""What tasks say is kept with their attempts, on both databases."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    RetryPolicy,
    Runtime,
    TaskLog,
    WorkflowBuilder,
    task,
)
from cloacina.errors import ExecutionNotFoundError, RejectedWriteError, TaskNotFoundError
from cloacina.kernel.logbook import MOST_BYTES, MOST_LINES
from cloacina.packages.config import PackageConfig
from engine.databases import Where
from packages.makers import a_package, a_trust

DEADLINE_S = 30
LOG = logging.getLogger("of.the.application")
AT_ONCE = RetryPolicy.builder().max_attempts(2).initial_delay(0.001).with_jitter(False).build()


def said(found: list[TaskLog]) -> list[tuple[str, int, int, str]]:
    return [(line.task, line.attempt, line.seq, line.text) for line in found]


def eventually(look: Callable[[], list[TaskLog]]) -> list[TaskLog]:
    """Look until there is something to see."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came in time"
        threading.Event().wait(0.02)
    return found


def test_log_records_of_every_attempt_are_kept(runner: DefaultRunner) -> None:
    calls: list[int] = []
    with WorkflowBuilder("w"):

        @task(id="sync", retry=AT_ONCE)
        def sync(_context: Context) -> None:
            calls.append(1)
            LOG.warning("call %d", len(calls))
            if len(calls) == 1:
                raise ValueError("not yet")

        @task(id="async", dependencies=["sync"])
        async def later(_context: Context) -> None:
            await asyncio.sleep(0)
            try:
                int("lost")
            except ValueError:
                LOG.exception("oh")
            await asyncio.to_thread(LOG.error, "in a thread")
            LOG.info("not let through")

    execution_id = runner.execute("w", timeout=DEADLINE_S).execution_id
    found = runner.logs(execution_id)
    assert said(found[:2]) == [("sync", 1, 1, "call 1"), ("sync", 2, 1, "call 2")]
    assert [line.level for line in found] == [30, 30, 40, 40]
    assert {(line.source, line.logger) for line in found} == {("logging", LOG.name)}
    assert found[2].text.startswith("oh\nTraceback")
    assert "ValueError: invalid" in found[2].text
    assert said(found[3:]) == [("async", 1, 2, "in a thread")]
    assert said(runner.logs(execution_id, "sync", 2)) == [("sync", 2, 1, "call 2")]
    assert runner.logs(execution_id, attempt=3) == []


def test_tasks_that_run_at_once_are_kept_apart(runner: DefaultRunner) -> None:
    barrier = threading.Barrier(3)
    with WorkflowBuilder("w"):
        for name in ("a", "b", "c"):

            @task(id=name)
            def speaks(_context: Context, name: str = name) -> None:
                for number in range(20):
                    barrier.wait(DEADLINE_S)
                    LOG.warning("%s %d", name, number)

    execution_id = runner.execute("w", timeout=DEADLINE_S).execution_id
    for name in ("a", "b", "c"):
        assert [line.text for line in runner.logs(execution_id, name)] == [
            f"{name} {number}" for number in range(20)
        ]


def test_what_an_element_says_tells_which_it_was(runner: DefaultRunner) -> None:
    with WorkflowBuilder("loud"):

        @task
        def plain(_context: Context) -> None:
            LOG.warning("plain")

        @task(map_over="xs", dependencies=[plain])
        def each(_context: Context, item: object) -> None:
            LOG.warning("%s", item)

    execution_id = runner.execute("loud", {"xs": ["a", "b", "c"]}, timeout=30).execution_id
    found = [(line.task, line.element, line.text) for line in runner.logs(execution_id)]
    assert sorted(found, key=lambda line: line[2]) == [
        *(("each", 0, "a"), ("each", 1, "b"), ("each", 2, "c")),
        ("plain", None, "plain"),
    ]


def test_what_a_worker_prints_and_logs_is_kept(
    runtime: Runtime, where: Where, tmp_path: Path
) -> None:
    source = """
import logging, sys
from cloacina_sdk import task, workflow

@workflow(name="w")
class W:
    @task
    def speaks(context):
        print("printed")
        print("complained", file=sys.stderr, flush=True)
        logging.getLogger("inside").info("logged")
"""
    packages = PackageConfig(home=tmp_path / "home", trust=a_trust(pattern="*"))
    with DefaultRunner(where.url, runtime=runtime, packages=packages) as runner:
        runner.load_package(a_package(tmp_path, source, name="w", module="w_tasks"))
        execution_id = runner.execute("w", timeout=DEADLINE_S).execution_id
        found = runner.logs(execution_id)
    assert {(line.source, line.text, line.logger, line.level) for line in found} == {
        ("stdout", "printed", "", 20),
        ("stderr", "complained", "", 20),
        ("logging", "logged", "inside", 20),
    }


def test_a_long_attempt_can_be_read_while_it_runs(runner: DefaultRunner) -> None:
    release = threading.Event()
    with WorkflowBuilder("w"):

        @task(id="long")
        def long(_context: Context) -> None:
            LOG.warning("begun")
            assert release.wait(DEADLINE_S)
            LOG.warning("done")

    handle = runner.submit("w")
    assert said(eventually(lambda: runner.logs(handle.id))) == [("long", 1, 1, "begun")]
    release.set()
    handle.wait(DEADLINE_S)
    assert [line.text for line in runner.logs(handle.id)] == ["begun", "done"]


def test_an_attempt_that_is_given_up_keeps_what_it_said_until_then(
    runtime: Runtime, where: Where
) -> None:
    release, ended = threading.Event(), threading.Event()
    config = DefaultRunnerConfig(cancel_grace_seconds=0.05, shutdown_timeout_seconds=5)
    with WorkflowBuilder("w"):

        @task(id="deaf", timeout=0.2, retry_attempts=1)
        def deaf(_context: Context) -> None:
            LOG.warning("before")
            assert release.wait(DEADLINE_S)
            LOG.warning("after")
            ended.set()

    with DefaultRunner(where.url, runtime=runtime, config=config) as runner:
        result = runner.execute("w", timeout=DEADLINE_S)
        assert result.status == "Failed"
        release.set()
        assert ended.wait(DEADLINE_S)
        assert [line.text for line in runner.logs(result.execution_id)] == ["before"]


def test_what_is_said_after_the_end_is_dropped(runner: DefaultRunner) -> None:
    threads: list[threading.Thread] = []
    release = threading.Event()
    with WorkflowBuilder("w"):

        @task(id="leaves")
        def leaves(_context: Context) -> None:
            import contextvars

            def lingers() -> None:
                assert release.wait(DEADLINE_S)
                LOG.warning("too late")

            variables = contextvars.copy_context()
            threads.append(threading.Thread(target=variables.run, args=(lingers,)))
            threads[-1].start()
            LOG.warning("in time")

    execution_id = runner.execute("w", timeout=DEADLINE_S).execution_id
    release.set()
    threads[0].join(DEADLINE_S)
    runner.execute("w", timeout=DEADLINE_S)
    threads[1].join(DEADLINE_S)
    assert [line.text for line in runner.logs(execution_id)] == ["in time"]


@pytest.mark.parametrize(
    ("text", "count"), [("short", MOST_LINES), ("x" * 50_000, MOST_BYTES // 50_000)]
)
def test_of_an_attempt_that_says_too_much_the_beginning_is_kept(
    runner: DefaultRunner, text: str, count: int
) -> None:
    with WorkflowBuilder("w"):

        @task(id="chatty")
        def chatty(_context: Context) -> None:
            for _ in range(count + 50):
                LOG.warning(text)

    logging.getLogger("of").propagate = False
    try:
        execution_id = runner.execute("w", timeout=2 * DEADLINE_S).execution_id
    finally:
        logging.getLogger("of").propagate = True
    found = runner.logs(execution_id)
    assert len(found) == count + 1
    assert {line.text for line in found[:-1]} == {text}
    assert "the rest was left out: 10,000 lines" in found[-1].text


class Hostile:
    """An argument that cannot be formatted."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_hostile_records_harm_nothing(runner: DefaultRunner, where: Where) -> None:
    with WorkflowBuilder("w"):

        @task(id="hostile")
        def hostile(_context: Context) -> None:
            loud = logging.getLogger("n" * 1000 + "\x00\udc80")
            loud.addFilter(lambda _record: False)  # the handlers of tests choke on some of it
            loud.log(10**15, "NUL \x00 and half a pair \udc80")
            loud.warning("%s", Hostile())
            loud.warning("%d", "no number")
            loud.warning("y" * 100_000)
            loud.handle(logging.makeLogRecord({"msg": "made by hand", "levelno": 30}))

    result = runner.execute("w", timeout=DEADLINE_S)
    assert result.error_message is None
    found = runner.logs(result.execution_id)
    assert found[0].text == "NUL \\x00 and half a pair \\udc80"
    assert (found[0].level, len(found[0].logger)) == (1_000_000, 200)
    assert [line.text for line in found[1:3]] == ["%s", "%d"]
    assert len(found[3].text) < 70_000
    assert len(found) == 4
    assert where.query("SELECT count(*) FROM task_logs") == [(4,)]


def test_hearing_tasks_leaves_logging_as_the_application_has_it(runner: DefaultRunner) -> None:
    before = list(logging.getLogger().handlers), logging.getLogger().level
    with WorkflowBuilder("w"):

        @task(id="speaks")
        def speaks(_context: Context) -> None:
            LOG.warning("word")

    runner.execute("w", timeout=DEADLINE_S)
    inner = logging.getLogRecordFactory()
    logging.setLogRecordFactory(partial(inner))
    try:
        second = runner.execute("w", timeout=DEADLINE_S).execution_id
    finally:
        logging.setLogRecordFactory(inner)
    assert [line.text for line in runner.logs(second)] == ["word"]
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


def test_what_is_not_there_is_told_from_what_is_silent(runner: DefaultRunner) -> None:
    with WorkflowBuilder("w"):

        @task(id="silent")
        def silent(_context: Context) -> None: ...

    execution_id = runner.execute("w", timeout=DEADLINE_S).execution_id
    assert runner.logs(execution_id) == []
    assert runner.logs(execution_id, "silent") == []
    with pytest.raises(TaskNotFoundError, match="no task 'loud'; it has 'silent'"):
        runner.logs(execution_id, "loud")
    with pytest.raises(ExecutionNotFoundError):
        runner.logs("nobody")


def test_the_engine_never_logs_the_values_of_contexts(
    runner: DefaultRunner, where: Where, caplog: pytest.LogCaptureFixture
) -> None:
    with WorkflowBuilder("w"):

        @task(id="fails", retry=AT_ONCE)
        def fails(context: Context) -> None:
            context["more"] = context["secret"]
            raise ValueError("for a reason")

        @task(id="after", dependencies=["fails"])
        def after(_context: Context) -> None: ...

    if where.is_postgres:
        where.query("ALTER TABLE workflow_executions ADD CHECK (length(input) < 5000)")
    with caplog.at_level(logging.DEBUG, "cloacina"):
        runner.execute("w", {"secret": "hunter2"}, timeout=DEADLINE_S)
        if where.is_postgres:
            with pytest.raises(RejectedWriteError) as caught:
                runner.submit("w", {"secret": "hunter2" * 1000})
            assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caplog.text
