"""Waits as the planner sees them: what begins, ends and outlives them, by a clock moved by hand."""

from dataclasses import replace

import pytest

from cloacina.model.states import AttemptOutcome, SubStatus, TaskStatus, Wish
from cloacina.planner.events import Claimed, ConditionTold, StoredExecution, StoredTask
from cloacina.planner.execution import ExecutionState
from cloacina_sdk.executor import Checkpoint, Park, Unpark
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.waiting import LATEST_US, Memory, PassedWait, Wait, WaitKind
from engine.graphs import World, a_failure, a_task, a_workflow, assigned, statuses

APPROVE = a_workflow(a_task("a", takes_handle=True))
TWICE = RetryPolicy.builder().max_attempts(2).initial_delay(5).with_jitter(False).build()
EVENT = Wait.event("approved")


def memory_of(world: World, task: str = "a", id: str = "e") -> Memory:
    memory = world.running[id, task].memory
    assert memory is not None
    return memory


def stored(execution: ExecutionState) -> StoredExecution:
    """What a database would hold of an execution."""
    return StoredExecution(
        identity=execution.identity,
        topology=execution.topology,
        input_texts=execution.input_texts,
        status=execution.status,
        stopping=execution.stopping,
        epoch=execution.epoch + 1,
        event_count=execution.event_count,
        created_at_us=execution.created_at_us,
        started_at_us=execution.started_at_us,
        finished_at_us=execution.finished_at_us,
        error_task=execution.error_task,
        error_type=execution.error_type,
        error_message=execution.error_message,
        tasks=tuple(
            StoredTask(
                number=task.number,
                status=task.status,
                sub_status=task.sub_status,
                attempt=task.attempt,
                failures=task.failures,
                losses=task.losses,
                due_at_us=task.due_at_us,
                started_at_us=task.started_at_us,
                finished_at_us=task.finished_at_us,
                changes=task.changes,
                reason=task.reason,
                error_type=task.error_type,
                error_message=task.error_message,
                token=task.token,
                memory=task.memory,
            )
            for task in execution.tasks
        ),
        sent=tuple(execution.mailbox),
        waited_us=execution.waited_us,
        waits_since_us=execution.waits_since_us,
    )


def taken_over(world: World, id: str = "e") -> World:
    """Another runner that goes on with an execution at this very moment."""
    other = World()
    other.now_us, other.utc_offset_us = 5_000_000, world.now.utc_us - 5_000_000
    other.step(Claimed(stored=stored(world.planner_execution(id))))
    return other


def test_an_attempt_that_waits_gives_its_slot_back_and_fails_nothing() -> None:
    world = World(slots=1)
    execution = world.submit(APPROVE)
    other = world.submit(a_workflow(a_task("b")), id="f")
    assert statuses(other) == {"b": "Ready"}
    world.end("a", EVENT)
    task = execution.tasks[0]
    assert (task.status, task.sub_status) == (TaskStatus.READY, SubStatus.DEFERRED)
    assert (task.attempt, task.failures, task.losses, task.token) == (1, 0, 0, None)
    assert world.started("f") == ["b"]
    assert world.settled == []
    assert world.ends == [AttemptOutcome.DEFERRED]


def test_the_next_attempt_begins_when_the_time_has_come_and_not_before() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.end("a", Wait.delay(60_000))
    world.pass_time(59.999)
    assert world.started() == []
    world.pass_time(0.001)
    assert world.started() == ["a"]
    assert execution.tasks[0].attempt == 2
    assert memory_of(world) == Memory(waits=(PassedWait(kind=WaitKind.TIME),))
    assert world.lines[-2:] == ["task_wait_over", "task_started"]


def test_a_moment_that_is_over_is_waited_for_in_no_time() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.until(world.now.utc_us - 1))
    assert world.started() == ["a"]
    assert "task_deferred" in world.lines


def test_the_end_of_the_calendar_can_be_waited_for() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.end("a", Wait.until(LATEST_US))
    world.pass_time(10_000_000)
    assert world.started() == []
    world.ask(Wish.CANCEL)
    assert statuses(execution) == {"a": "Cancelled"}


def test_a_wall_clock_that_jumps_moves_no_wait() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.delay(60_000))
    world.utc_offset_us += 3_600_000_000
    world.pass_time(59)
    assert world.started() == []
    world.utc_offset_us -= 7_200_000_000
    world.pass_time(1)
    assert world.started() == ["a"]


def test_an_event_that_was_sent_before_is_there_at_once() -> None:
    world = World()
    world.submit(APPROVE)
    world.send("approved", {"by": "me"})
    world.end("a", EVENT)
    expected = PassedWait(kind=WaitKind.EVENT, name="approved", payload='{"by":"me"}')
    assert memory_of(world).waits == (expected,)


def test_each_task_sees_the_events_of_a_name_once_and_in_order() -> None:
    world = World()
    workflow = a_workflow(a_task("a", takes_handle=True), a_task("b", takes_handle=True))
    world.submit(workflow)
    for task in ("a", "b"):
        world.end(task, EVENT)
    world.send("other")
    assert world.started() == []
    world.send("approved", 1)
    assert world.started() == ["a", "b"]
    world.send("approved", 2)
    world.end("a", EVENT)
    world.end("a", EVENT)
    assert world.started() == ["b"]
    world.send("approved", 3)
    assert [wait.payload for wait in memory_of(world, "a").waits] == ["1", "2", "3"]
    assert [wait.payload for wait in memory_of(world, "b").waits] == ["1"]


def test_an_event_without_payload_comes_without_one() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", EVENT)
    world.send("approved")
    assert memory_of(world).waits[0].payload is None


def test_a_wait_for_an_event_times_out_and_the_next_one_gets_the_event() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.event("approved", timeout_ms=1_000))
    world.pass_time(1)
    assert memory_of(world).waits == (
        PassedWait(kind=WaitKind.EVENT, name="approved", is_timed_out=True),
    )
    world.send("approved", 1)
    world.end("a", EVENT)
    assert memory_of(world).waits[1].payload == "1"


def test_an_event_that_comes_at_the_moment_of_the_timeout_counts_once() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.event("approved", timeout_ms=1_000))
    world.now_us += 1_000_000
    world.send("approved", 1)  # before the alarm was taken
    world.pass_time(0)
    waits = memory_of(world).waits
    assert [(wait.payload, wait.is_timed_out) for wait in waits] == [("1", False)]


def test_a_condition_is_called_at_once_and_then_after_each_interval() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.condition("stock", poll_ms=10_000))
    for _ in range(3):
        assert [call.name for call in world.calls] == ["stock"]
        world.tell(answer=False)
        world.pass_time(9)
        assert world.calls == []
        world.pass_time(1)
    world.tell(answer=True)
    assert memory_of(world).waits == (PassedWait(kind=WaitKind.CONDITION, name="stock"),)


def test_a_condition_that_hangs_is_not_called_again_and_times_out() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.condition("stock", poll_ms=1, timeout_ms=60_000))
    world.pass_time(30)
    (call,) = world.calls
    world.pass_time(30)
    assert memory_of(world).waits[0].is_timed_out
    late = ConditionTold(execution_id="e", task_number=0, attempt=call.attempt, answer=True)
    world.step(late)
    assert memory_of(world).waits[0].is_timed_out


def test_what_a_condition_raises_counts_as_a_failure_of_the_attempt() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", takes_handle=True, retry=TWICE)))
    world.end("a", Wait.condition("stock", poll_ms=1_000))
    world.tell(answer=a_failure("broken"))
    task = execution.tasks[0]
    assert (task.sub_status, task.failures, task.attempt) == (SubStatus.RETRYING, 1, 1)
    assert [(each.failure, each.retry_delay_us) for each in world.settled] == [
        (a_failure("broken"), 5_000_000)
    ]
    world.pass_time(5)
    assert memory_of(world).waits == ()
    world.end("a", Wait.condition("stock", poll_ms=1_000))
    world.tell(answer=a_failure("broken"))
    assert statuses(execution) == {"a": "Failed"}
    assert (execution.status, execution.error_message) == ("Failed", "broken")


def test_answers_to_an_earlier_wait_mean_nothing() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", takes_handle=True, retry=TWICE)))
    world.end("a", Wait.condition("stock", poll_ms=1_000, timeout_ms=1_000))
    world.pass_time(1)
    world.end("a", Wait.condition("stock", poll_ms=1_000))
    assert [call.attempt for call in world.calls] == [1, 2]
    world.tell(answer=True)
    assert execution.tasks[0].is_waiting
    world.tell(answer=True)
    assert world.started() == ["a"]


def test_passed_waits_and_the_checkpoint_survive_failures() -> None:
    world = World()
    world.submit(a_workflow(a_task("a", takes_handle=True, retry=TWICE)))
    world.end("a", Wait.delay(1_000))
    world.pass_time(1)
    world.ask_for("a", Checkpoint(text="[1]"), 7)
    assert world.answers == [7]
    world.end("a", a_failure())
    world.pass_time(5)
    assert memory_of(world) == Memory(waits=(PassedWait(kind=WaitKind.TIME),), checkpoint="[1]")


def test_a_task_without_handle_cannot_wait_and_is_told_so() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a")))
    assert world.running["e", "a"].memory is None
    world.ask_for("a", Checkpoint(text="1"))
    assert world.answers == []
    world.end("a", EVENT)
    assert execution.tasks[0].error_type == "CannotWait"


@pytest.mark.parametrize(
    "wait", [EVENT, Wait.delay(1_000), Wait.condition("c", poll_ms=1)], ids=lambda wait: wait.kind
)
def test_cancelling_ends_a_wait_at_once(wait: Wait) -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.end("a", wait)
    world.ask(Wish.CANCEL)
    assert execution.status == "Cancelled"
    assert execution.tasks[0].memory.open is None
    world.pass_time(10)
    assert world.started() == []


def test_an_attempt_that_waits_while_it_is_cancelled_is_cancelled() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.ask(Wish.CANCEL)
    world.end("a", EVENT)
    assert (execution.status, world.ends) == ("Cancelled", [AttemptOutcome.CANCELLED])


def test_a_wait_may_pass_in_a_paused_execution_but_nothing_starts() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", EVENT)
    world.ask(Wish.PAUSE)
    world.send("approved", 1)
    assert world.started() == []
    assert "task_wait_over" in world.lines
    world.ask(Wish.RESUME)
    assert memory_of(world).waits[0].payload == "1"


def test_resuming_a_paused_execution_ends_no_wait() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.end("a", EVENT)
    world.ask(Wish.PAUSE)
    world.ask(Wish.RESUME)
    assert execution.tasks[0].is_waiting
    assert world.started() == []


def test_the_elements_of_a_mapped_task_wait_each_on_its_own() -> None:
    world = World(slots=1)
    mapped = Mapped(over="items", into="found", max_parallel=1)
    world.submit(a_workflow(a_task("m", mapped=mapped, takes_handle=True)), items=[1, 2, 3])
    for place in range(3):
        world.end(f"m[{place}]", EVENT)
    assert world.started() == []
    world.send("approved", 1)
    assert world.started() == ["m[0]"]
    for place in range(3):
        memory = world.running["e", f"m[{place}]"].memory
        assert memory is not None
        assert memory.waits[0].payload == "1"
        world.end(f"m[{place}]", assigned(found=place))
    assert world.ended["e"].status == "Completed"


def test_a_wait_goes_on_in_the_next_runner() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.delay(60_000))
    world.pass_time(20)
    other = taken_over(world)
    other.pass_time(39)
    assert other.started() == []
    other.pass_time(1)
    assert other.started() == ["a"]


def test_a_wait_that_was_over_while_nobody_had_it_is_over_at_once() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.event("approved", timeout_ms=60_000))
    world.now_us += 61_000_000
    other = taken_over(world)
    assert memory_of(other).waits[0].is_timed_out


def test_after_a_restart_a_wait_lasts_no_longer_than_it_was_to_last() -> None:
    world = World()
    world.submit(APPROVE)
    world.end("a", Wait.delay(60_000))
    world.utc_offset_us -= 86_400_000_000
    other = taken_over(world)
    other.pass_time(60)
    assert other.started() == ["a"]


def test_the_next_runner_calls_conditions_and_knows_what_was_sent() -> None:
    world = World()
    world.submit(a_workflow(a_task("a", takes_handle=True), a_task("b", takes_handle=True)))
    world.send("approved", 1)
    world.end("a", Wait.condition("stock", poll_ms=60_000))
    world.end("b", EVENT)
    world.end("b", EVENT)
    other = taken_over(world)
    assert [call.name for call in other.calls] == ["stock"]
    other.send("approved", 2)
    assert [wait.payload for wait in memory_of(other, "b").waits] == ["1", "2"]


def test_the_time_of_a_workflow_stands_still_while_it_only_waits() -> None:
    world = World()
    workflow = a_workflow(a_task("a", takes_handle=True), timeout_ms=10_000)
    execution = world.submit(workflow)
    world.pass_time(6)
    world.end("a", EVENT)
    world.pass_time(1_000)
    world.send("approved")
    world.pass_time(3.999)
    assert execution.status == "Running"
    world.pass_time(0.001)
    assert execution.stopping == "Timeout"


def test_the_time_of_a_workflow_passes_while_anything_else_runs_or_could() -> None:
    world = World(slots=1)
    workflow = a_workflow(a_task("a", takes_handle=True), a_task("b"), timeout_ms=10_000)
    execution = world.submit(workflow)
    world.end("a", EVENT)
    world.pass_time(10)
    assert execution.stopping == "Timeout"


def test_the_time_of_a_workflow_stands_still_across_a_restart() -> None:
    world = World()
    workflow = a_workflow(a_task("a", takes_handle=True), timeout_ms=10_000)
    world.submit(workflow)
    world.pass_time(6)
    world.end("a", EVENT)
    world.pass_time(1_000)
    other = taken_over(world)
    other.pass_time(1_000)
    other.send("approved")
    other.pass_time(3.9)
    assert other.planner_execution("e").status == "Running"
    other.pass_time(0.2)
    assert other.planner_execution("e").stopping == "Timeout"


def test_a_parked_attempt_gives_its_slot_to_others_and_takes_one_in_its_turn() -> None:
    world = World(slots=1)
    execution = world.submit(APPROVE)
    world.submit(a_workflow(a_task("b")), id="f")
    world.ask_for("a", Park(), 1)
    assert world.answers == [1]
    assert world.started("f") == ["b"]
    assert (execution.tasks[0].status, execution.tasks[0].sub_status) == ("Running", "Deferred")
    world.ask_for("a", Unpark(), 2)
    assert world.answers == [1]
    world.end("b", id="f")
    assert world.answers == [1, 2]
    assert execution.tasks[0].sub_status is None
    assert world.planner.slots.free_slots == 0
    world.end("a")
    assert execution.status == "Completed"
    assert world.planner.slots.free_slots == 1


def test_parking_twice_and_unparking_what_is_not_parked_change_nothing() -> None:
    world = World(slots=1)
    world.submit(APPROVE)
    world.ask_for("a", Unpark(), 1)
    world.ask_for("a", Park(), 2)
    world.ask_for("a", Park(), 3)
    assert world.answers == [1, 2, 3]
    assert world.planner.slots.free_slots == 1
    world.ask_for("a", Unpark(), 4)
    assert world.planner.slots.free_slots == 0


def test_a_parked_attempt_may_end_where_it_is() -> None:
    world = World(slots=1)
    execution = world.submit(APPROVE)
    world.ask_for("a", Park(), 1)
    world.end("a")
    assert execution.status == "Completed"
    assert world.planner.slots.free_slots == 1


def test_the_time_of_an_attempt_stands_still_while_it_is_parked() -> None:
    world = World(slots=1)
    execution = world.submit(a_workflow(a_task("a", takes_handle=True, timeout_ms=10_000)))
    world.pass_time(6)
    world.ask_for("a", Park(), 1)
    world.pass_time(1_000)
    world.ask_for("a", Unpark(), 2)
    world.pass_time(3.9)
    assert execution.status == "Running"
    world.pass_time(0.2)
    assert execution.tasks[0].error_type == "TaskTimeout"


def test_a_parked_attempt_of_a_lost_runner_counts_as_no_loss() -> None:
    world = World()
    world.submit(APPROVE)
    world.ask_for("a", Park(), 1)
    other = taken_over(world)
    task = other.planner_execution("e").tasks[0]
    assert (other.started(), task.losses, task.attempt) == (["a"], 0, 2)


def test_a_runner_that_ends_lets_go_of_what_is_parked() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.ask_for("a", Park(), 1)
    world.planner.start_nothing_more()
    world.planner.release_parked(world.now)
    task = execution.tasks[0]
    assert (task.status, task.losses, task.token) == (TaskStatus.READY, 0, None)
    assert list(world.planner.running) == []


def test_a_runner_that_ends_parks_nothing_more() -> None:
    world = World()
    execution = world.submit(APPROVE)
    world.planner.start_nothing_more()
    world.ask_for("a", Park(), 1)
    assert world.answers == []
    assert execution.tasks[0].status is TaskStatus.READY


def test_a_lost_attempt_asks_in_vain() -> None:
    world = World()
    world.submit(APPROVE)
    start = world.running["e", "a"]
    world.running["e", "a"] = replace(start, token="another")
    world.ask_for("a", Checkpoint(text="1"), 1)
    assert world.answers == []
