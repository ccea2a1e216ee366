"""Executors that are full, as the planner sees them."""

from cloacina.model.states import Wish
from cloacina.planner.events import Identity
from cloacina.planner.queue.pools import Pool
from cloacina_sdk.spec import TaskSpec
from engine.graphs import World, a_failure, a_task, a_workflow

SMALL = Pool(name="small", capacity=1, can_kill=True)
LARGE = Pool(name="large")
TASKS = a_workflow(a_task("s1"), a_task("s2"), a_task("s3"), a_task("l1"), a_task("l2"))


class ByName:
    """Tasks whose names begin with an s share a small executor."""

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        return SMALL if task.id.startswith("s") else LARGE


def test_a_full_executor_holds_up_nobody_who_waits_for_another() -> None:
    world = World(slots=10, pools=ByName())
    execution = world.submit(TASKS)
    assert world.started() == ["s1", "l1", "l2"]
    world.end("l1")
    assert world.started() == ["s1", "l2"]
    world.end("s1", a_failure())
    assert world.started() == ["l2", "s2"]
    world.end("s2")
    world.end("s3")
    world.end("l2")
    assert execution.status == "Failed"


def test_an_attempt_takes_a_slot_and_a_place_together() -> None:
    world = World(slots=2, pools=ByName())
    world.submit(TASKS)
    assert world.started() == ["s1", "l1"]
    world.end("s1")
    assert world.started() == ["l1", "s2"]
    world.end("l1")
    assert world.started() == ["s2", "l2"]


def test_the_more_urgent_execution_gets_the_place() -> None:
    world = World(slots=10, pools=ByName())
    work = a_workflow(a_task("s1"))
    world.submit(work, "first")
    world.submit(work, "later")
    world.submit(work, "urgent", priority=5)
    world.end("s1", id="first")
    assert world.started("urgent") == ["s1"]
    assert world.started("later") == []


def test_a_place_comes_back_only_when_the_executor_reports_the_end() -> None:
    world = World(slots=10, pools=ByName(), attempt_timeout_us=1_000_000)
    execution = world.submit(a_workflow(a_task("s1"), a_task("s2")))
    world.pass_time(1)  # s1 is too late: it is settled, and was killed, but did not report yet
    assert execution.tasks[0].status == "Failed"
    assert execution.tasks[0].error_message == (
        "the attempt did not end within 1 s, and was killed"
    )
    assert world.started() == ["s1"]
    world.end("s1")
    assert world.started() == ["s2"]


def test_a_cancelled_attempt_that_nothing_can_kill_says_that_it_goes_on() -> None:
    world = World(pools=ByName())
    execution = world.submit(a_workflow(a_task("l1")))
    world.ask(Wish.CANCEL)
    world.pass_time(5)
    task = execution.tasks[0]
    assert task.status == "Cancelled"
    assert task.reason is not None
    assert "goes on" in task.reason
