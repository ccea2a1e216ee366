"""Events that are sent to executions, on real runners and both databases."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from cloacina import (
    Answer,
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    ExecutionHandle,
    Reason,
    Runtime,
    TaskHandle,
    WorkflowBuilder,
    task,
)
from cloacina.errors import (
    ExecutionNotFoundError,
    InvalidEventError,
)
from engine.databases import HASTY, Where
from engine.waiting import eventually

DEADLINE_S = 30
ONE_SLOT = DefaultRunnerConfig(max_concurrent_tasks=1, shutdown_timeout_seconds=5)


class Runs:
    """What bodies did, in order."""

    def __init__(self) -> None:
        self.lines: list[object] = []

    def __call__(self, line: object) -> None:
        self.lines.append(line)


@pytest.fixture
def runs() -> Runs:
    return Runs()


def define_approval(runs: Runs, name: str = "approval") -> None:
    """A task that waits for an event, between two that do not."""
    with WorkflowBuilder(name):

        @task
        def ask(context: Context) -> None:
            context["asked"] = True

        @task(dependencies=["ask"])
        def approve(context: Context, handle: TaskHandle) -> None:
            runs("begins")
            context["answer"] = handle.wait_event("approved")
            runs("goes on")

        @task(dependencies=["approve"])
        def act(context: Context) -> None:
            context["done"] = context["answer"]


def kinds_of(handle: ExecutionHandle) -> list[str]:
    return [event.kind for event in handle.events(follow=False)]


def wait_until_deferred(handle: ExecutionHandle, times: int = 1) -> None:
    eventually(lambda: kinds_of(handle).count("task_deferred") == times)


def test_a_task_waits_for_an_event_and_goes_on_with_what_came(
    runner: DefaultRunner, runs: Runs
) -> None:
    define_approval(runs)
    handle = runner.submit("approval")
    wait_until_deferred(handle)
    assert handle.send_event("approved", {"by": "me"}) is Answer.GRANTED
    result = handle.wait(DEADLINE_S)
    result.raise_for_status()
    assert result.final_context["done"] == {"by": "me"}
    assert runs.lines == ["begins", "begins", "goes on"]
    assert result.tasks["approve"].attempts == 2
    assert [kind for kind in kinds_of(handle) if "wait" in kind or "sent" in kind] == [
        "event_sent",
        "task_wait_over",
    ]


def test_what_is_sent_before_anybody_waits_is_not_lost(runner: DefaultRunner, runs: Runs) -> None:
    came = threading.Event()
    with WorkflowBuilder("late"):

        @task
        def late(context: Context, handle: TaskHandle) -> None:
            came.wait(DEADLINE_S)
            context["answers"] = [handle.wait_event("approved") for _ in range(3)]

    handle = runner.submit("late")
    for number in range(3):
        runner.send_event(handle.id, "approved", number)
    came.set()
    assert handle.wait(DEADLINE_S).final_context["answers"] == [0, 1, 2]


def test_a_wait_survives_the_runner(runtime: Runtime, where: Where, runs: Runs) -> None:
    define_approval(runs)
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as first:
        handle = first.submit("approval")
        wait_until_deferred(handle)
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as second:
        assert second.handle(handle.id).explain().reason in {Reason.EVENT, Reason.CLAIM_DUE}
        second.send_event(handle.id, "approved", 1)
        result = second.handle(handle.id).wait(DEADLINE_S)
    assert result.final_context["done"] == 1
    assert runs.lines == ["begins", "begins", "goes on"]


def test_an_event_reaches_what_nobody_has_and_is_there_for_whoever_takes_it(
    runtime: Runtime, where: Where, runs: Runs
) -> None:
    define_approval(runs)
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as first:
        handle = first.submit("approval")
        wait_until_deferred(handle)
    with DefaultRunner(where.url, runtime=Runtime(), config=HASTY) as stranger:
        answer = stranger.send_event(handle.id, "approved", "by a stranger")
        assert answer is Answer.GRANTED
        kinds = [event.kind for event in stranger.events(handle.id, follow=False)]
        assert kinds[-2:] == ["event_sent", "task_wait_over"]
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as second:
        result = second.handle(handle.id).wait(DEADLINE_S)
    assert result.final_context["done"] == "by a stranger"


def test_an_event_reaches_the_runner_that_has_the_execution(
    runtime: Runtime, where: Where, runs: Runs
) -> None:
    define_approval(runs)
    with (
        DefaultRunner(where.url, runtime=runtime, config=HASTY) as owner,
        DefaultRunner(where.url, runtime=Runtime(), config=HASTY) as other,
    ):
        handle = owner.submit("approval")
        assert other.send_event(handle.id, "approved", 1, timeout=DEADLINE_S) is Answer.GRANTED
        assert handle.wait(DEADLINE_S).final_context["done"] == 1
        assert other.send_event(handle.id, "approved", 2) is Answer.ENDED


def test_what_cannot_be_sent_is_refused_at_once(runner: DefaultRunner, runs: Runs) -> None:
    define_approval(runs)
    handle = runner.submit("approval")
    for name in ("", "x" * 201, "a\0b", "\ud800", 7):
        with pytest.raises(InvalidEventError):
            handle.send_event(name)  # type: ignore[arg-type]  # what programs get wrong
    for payload in (object(), float("nan"), {1: 2}, "x" * 17_000_000):
        with pytest.raises(InvalidEventError):
            handle.send_event("approved", payload)  # type: ignore[arg-type]  # likewise
    with pytest.raises(ExecutionNotFoundError):
        runner.send_event("no such execution", "approved")
    assert "event_sent" not in kinds_of(handle)


def test_a_thousand_events_are_seen_once_each_and_in_order(runner: DefaultRunner) -> None:
    count = 1_000
    with WorkflowBuilder("collects"):

        @task
        def collects(context: Context, handle: TaskHandle) -> None:
            handle.wait_event("begin")
            context["seen"] = [handle.wait_event("n") for _ in range(20)]

    handle = runner.submit("collects")
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda n: handle.send_event("n", n), range(count)))
    assert answers == {Answer.GRANTED}
    handle.send_event("begin")
    seen = handle.wait(DEADLINE_S).final_context["seen"]
    assert isinstance(seen, list)
    assert len({str(number) for number in seen}) == 20


def test_an_event_is_sent_once_however_its_command_is_delivered(
    runtime: Runtime, where: Where, runs: Runs
) -> None:
    define_approval(runs)
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as first:
        handle = first.submit("approval")
        wait_until_deferred(handle)
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(DefaultRunner(where.url, runtime=Runtime(), config=HASTY))
            for _ in range(3)
        ]
        with ThreadPoolExecutor(9) as pool:
            sent = pool.map(lambda n: strangers[n % 3].send_event(handle.id, "n", n), range(30))
            assert set(sent) == {Answer.GRANTED}
    found = where.query("SELECT seq, name, payload FROM sent_events ORDER BY seq")
    assert [row[0] for row in found] == list(range(1, 31))
    assert sorted(int(row[2]) for row in found) == list(range(30))


def test_an_event_that_is_sent_while_its_execution_ends_is_kept_or_refused(
    runner: DefaultRunner,
) -> None:
    with WorkflowBuilder("short"):

        @task
        def short(context: Context) -> None: ...

    for _ in range(20):
        handle = runner.submit("short")
        answer = handle.send_event("late", 1)
        handle.wait(DEADLINE_S)
        kinds = kinds_of(handle)
        assert answer in {Answer.GRANTED, Answer.ENDED}
        assert kinds.count("event_sent") == (answer is Answer.GRANTED)
        assert "event_sent" not in kinds[kinds.index("execution_completed") :]


def test_waiting_tasks_survive_a_kill_between_any_two_steps(
    runtime: Runtime, where: Where, runs: Runs
) -> None:
    define_approval(runs)
    script = (
        "import sys\n"
        "from cloacina import DefaultRunner, DefaultRunnerConfig, TaskHandle, WorkflowBuilder, task\n"
        "with WorkflowBuilder('approval'):\n"
        "    @task\n"
        "    def ask(context):\n"
        "        context['asked'] = True\n"
        "    @task(dependencies=['ask'])\n"
        "    def approve(context, handle: TaskHandle):\n"
        "        context['answer'] = handle.wait_event('approved')\n"
        "    @task(dependencies=['approve'])\n"
        "    def act(context):\n"
        "        context['done'] = context['answer']\n"
        "config = DefaultRunnerConfig(lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1)\n"
        "with DefaultRunner(sys.argv[1], config=config) as runner:\n"
        "    for n in range(1000):\n"
        "        handle = runner.submit('approval')\n"
        "        print(handle.id, flush=True)\n"
        "        handle.send_event('approved', n)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, where.url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ids = [process.stdout.readline().strip() for _ in range(25)]
        process.kill()
    with DefaultRunner(where.url, runtime=runtime, config=HASTY) as heir:
        for number, execution_id in enumerate(ids):
            handle = heir.handle(execution_id)
            if "event_sent" not in kinds_of(handle):
                handle.send_event("approved", number)
            assert handle.wait(DEADLINE_S).final_context["done"] == number
