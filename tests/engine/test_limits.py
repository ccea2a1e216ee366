"""Concurrency keys and rates: what one planner decides, and what several runners keep together."""

import subprocess
import sys
import threading
from pathlib import Path

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.planner.events import LimitsRead
from cloacina.planner.queue.claims import Question, Taken, Waiting
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.throttle import RateLimit, Throttle
from engine.databases import HASTY, Where
from engine.graphs import ONCE, World, a_task, a_workflow, assigned, statuses

TARGET = Path(__file__).with_name("limits_target.py")
DEADLINE_S = 60


def limited(
    id: str, *dependencies: str, mapped: Mapped | None = None, **throttle: object
) -> TaskSpec:
    return TaskSpec(
        id=id,
        dependencies=dependencies,
        retry=ONCE,
        trigger_rule=None,
        mapped=mapped,
        throttle=Throttle(**throttle),  # type: ignore[arg-type]  # as it takes them
    )


def test_no_more_attempts_hold_a_key_than_may_and_others_pass_by() -> None:
    world = World(slots=10)
    tasks = [limited(f"k{n}", key="api", max_concurrent=2) for n in range(4)]
    execution = world.submit(a_workflow(*tasks, a_task("free")))
    assert world.started() == ["k0", "k1", "free"]
    assert world.planner.waiting_for("e", 2) == Waiting(kind="key", name="api", limit=2)
    assert world.planner.waiting_for("e", 0) is None
    world.end("k1")
    assert world.started() == ["k0", "free"]  # until it is known that the end is committed
    world.pass_time(0)
    assert world.started() == ["k0", "free", "k2"]
    assert statuses(execution)["k3"] == "Ready"


def test_keys_are_told_apart_by_what_the_context_holds() -> None:
    world = World()
    task = limited("k", key="api-{user}")
    for number, user in enumerate(["ann", "bob", "ann"]):
        world.submit(a_workflow(task), id=f"e{number}", user=user)
    assert [world.started(f"e{number}") for number in range(3)] == [["k"], ["k"], []]


def test_a_task_whose_key_cannot_be_made_fails_and_says_why() -> None:
    world = World()
    execution = world.submit(a_workflow(limited("k", key="{user}"), a_task("z", "k")))
    assert statuses(execution) == {"k": "Failed", "z": "Skipped"}
    assert execution.error_type == "UnknownKey"
    assert "needs 'user', but the context holds no keys" in str(execution.error_message)


def test_elements_of_a_mapped_task_share_its_key() -> None:
    world = World()
    task = limited("m", mapped=Mapped(over="xs"), key="api", max_concurrent=2)
    world.submit(a_workflow(task), xs=list(range(1000)))
    assert world.started() == ["m[0]", "m[1]"]
    world.end("m[0]", assigned(m=0))
    world.pass_time(0)
    assert world.started() == ["m[1]", "m[2]"]


def test_the_most_urgent_gets_a_key_first() -> None:
    world = World()
    workflow = a_workflow(limited("k", key="api"))
    world.submit(workflow, id="first")
    world.submit(workflow, id="idle", priority=-1)
    world.submit(workflow, id="urgent", priority=5)
    world.end("k", id="first")
    world.pass_time(0)
    assert (world.started("urgent"), world.started("idle")) == (["k"], [])


def test_a_rate_counts_starts_and_the_next_window_goes_on() -> None:
    world = World()
    world.now_us = 10_000_400_000
    tasks = [limited(f"r{n}", rate=RateLimit(2, "s")) for n in range(1)]
    for number in range(5):
        world.submit(a_workflow(*tasks), id=f"e{number}")
    started = [number for number in range(5) if world.started(f"e{number}")]
    assert started == [0, 1]
    assert world.planner.next_due_us == 10_001_000_000
    assert world.planner.waiting_for("e4", 0) == Waiting(
        kind="rate", name="public::embedded::w::r0 2/s", limit=2
    )
    world.pass_time(0.6)
    world.pass_time(1)
    assert all(world.started(f"e{number}") for number in range(5))


def test_a_wall_clock_set_back_neither_starts_too_many_nor_stops_the_rate() -> None:
    world = World()
    workflow = a_workflow(limited("r", rate=RateLimit(1, "s")))
    world.submit(workflow, id="e0")
    world.utc_offset_us = -3_600_000_000
    world.submit(workflow, id="e1")
    world.submit(workflow, id="e2")
    assert (world.started("e1"), world.started("e2")) == (["r"], [])
    world.pass_time(1)
    assert world.started("e2") == ["r"]


def test_a_start_that_is_refused_is_taken_back_and_everything_else_is_kept() -> None:
    world = World()
    event = world.submission(a_workflow(limited("k", key="api"), a_task("free")))
    world.planner.step(event, world.now)
    (execution,) = world.planner.take_unsaved()
    assert [start.claim.key for start in execution.unsaved.starts] == ["api", None]
    question = Question(keys=["api"])
    world.planner.give_way(
        [execution], Taken(question=question, keys={"api": {0: "other"}}), world.now
    )
    world.planner.withdraw([], world.now)
    assert world.planner.take_unsaved() == [execution]
    assert [start.task_number for start in execution.unsaved.starts] == [1]
    kinds = [line.kind for line in execution.unsaved.history]
    assert kinds == ["execution_submitted", "task_started", "task_ready"]
    assert [line.seq for line in execution.unsaved.history] == [1, 2, 3]
    assert (execution.tasks[0].status, execution.tasks[0].attempt) == ("Ready", 0)
    world.planner.saved(execution)
    assert list(world.planner.awaited_keys) == ["api"]
    world.step(LimitsRead(Taken(question=question)))
    assert world.started() == ["k"]


def test_two_runners_keep_one_key_and_hear_when_it_is_free(runtime: Runtime, where: Where) -> None:
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Event()
    with WorkflowBuilder("hold"):

        @task(concurrency_key="api", max_concurrent=2)
        def hold(context: Context) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                if running == 2:
                    both.set()
            both.wait(30)
            with lock:
                running -= 1

    config = DefaultRunnerConfig(max_concurrent_tasks=8)
    with (
        DefaultRunner(where.url, runtime=runtime, config=config) as first,
        DefaultRunner(where.url, runtime=runtime, config=config) as second,
    ):
        handles = [runner.submit("hold") for _ in range(10) for runner in (first, second)]
        for handle in handles:
            handle.wait(DEADLINE_S).raise_for_status()
    assert most == 2
    open_slots = where.query(
        "SELECT count(*) FROM task_attempts WHERE finished_at IS NULL AND concurrency_key = 'api'"
    )
    assert open_slots == [(0,)]
    assert where.query("SELECT DISTINCT concurrency_slot FROM task_attempts ORDER BY 1") == [
        (0,),
        (1,),
    ]


def test_two_runners_keep_one_rate(runtime: Runtime, where: Where) -> None:
    with WorkflowBuilder("rated"):

        @task(rate_limit="5/s")
        def rated(context: Context) -> None: ...

    with (
        DefaultRunner(where.url, runtime=runtime) as first,
        DefaultRunner(where.url, runtime=runtime) as second,
    ):
        handles = [runner.submit("rated") for _ in range(7) for runner in (first, second)]
        for handle in handles:
            handle.wait(DEADLINE_S).raise_for_status()
    starts = where.query("SELECT rate_key, rate_slot, started_at FROM task_attempts")
    assert {key for key, _, _ in starts} == {"public::embedded::rated::rated"}
    assert len({slot for _, slot, _ in starts}) == 14
    windows = [slot // 5 for _, slot, _ in starts]
    assert max(map(windows.count, windows)) <= 5
    seconds = [started[:19] for _, _, started in starts]
    assert max(map(seconds.count, seconds)) <= 5


def begin(where: Where, side: Path, *, is_stuck: bool) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(TARGET), where.url, str(side), "stay" if is_stuck else "go"],
        stdout=subprocess.PIPE,
        text=True,
    )


def most_at_once(side: Path) -> int:
    running = most = 0
    for line in side.read_text().split():
        running += 1 if line == "in" else -1
        most = max(most, running)
    return most


def test_three_processes_never_exceed_a_key(where: Where, tmp_path: Path) -> None:
    side = tmp_path / "side"
    processes = [begin(where, side, is_stuck=False) for _ in range(3)]
    for process in processes:
        out, _ = process.communicate(timeout=DEADLINE_S)
        assert out.splitlines()[-1:] == ["done"]
    assert side.read_text().count("in") == 3 * 20
    assert most_at_once(side) <= 2


def test_a_key_that_a_killed_process_held_is_free_for_others(
    where: Where, tmp_path: Path, runtime: Runtime
) -> None:
    with WorkflowBuilder("other"):  # the survivor knows nothing of the workflow that is stuck

        @task(concurrency_key="api", max_concurrent=2)
        def hold(context: Context) -> None: ...

    stuck = begin(where, tmp_path / "side", is_stuck=True)
    assert stuck.stdout is not None
    try:
        assert [stuck.stdout.readline() for _ in range(2)] == ["holds\n", "holds\n"]
        with DefaultRunner(where.url, runtime=runtime, config=HASTY) as runner:
            handle = runner.submit("other")
            assert where.query(
                "SELECT count(*) FROM task_attempts"
                " WHERE concurrency_slot IS NOT NULL AND finished_at IS NULL"
            ) == [(2,)]
            stuck.kill()
            handle.wait(DEADLINE_S).raise_for_status()
    finally:
        stuck.kill()
        stuck.communicate(timeout=DEADLINE_S)
