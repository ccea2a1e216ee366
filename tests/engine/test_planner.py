"""What the planner decides, event by event, without a database."""

from dataclasses import replace

from cloacina.model.context import texts_of
from cloacina.model.topology import Topology
from cloacina.planner.effects import StartAttempt
from cloacina.planner.events import AttemptEnded, Claimed, Now, StoredExecution, StoredTask
from cloacina.planner.moves import decide, settle
from cloacina_sdk.retry import BackoffStrategy, RetryPolicy
from cloacina_sdk.rules import all_of, always, context_value, task_failed
from engine.graphs import (
    World,
    a_failure,
    a_task,
    a_workflow,
    assigned,
    removed,
    statuses,
)

THRICE = (
    RetryPolicy.builder()
    .max_attempts(3)
    .initial_delay(2.0)
    .backoff_strategy(BackoffStrategy.fixed())
    .with_jitter(False)
    .build()
)
CHAIN = a_workflow(a_task("a"), a_task("b", "a"), a_task("c", "b"))


def test_a_chain_runs_one_task_after_another() -> None:
    world = World()
    execution = world.submit(CHAIN)
    for name in ("a", "b", "c"):
        assert world.started() == [name]
        world.end(name)
    assert execution.status == "Completed"
    assert statuses(execution) == dict.fromkeys("abc", "Completed")


def test_a_dependency_sees_what_was_committed_before_it() -> None:
    world = World()
    world.submit(CHAIN, x=1)
    world.end("a", assigned(y=2))
    assert world.seen_by("b") == {"x": "1", "y": "2"}
    world.end("b", removed("x"))
    assert world.seen_by("c") == {"y": "2"}


def test_a_join_waits_for_every_branch() -> None:
    world = World()
    world.submit(a_workflow(a_task("h"), a_task("l", "h"), a_task("r", "h"), a_task("j", "l", "r")))
    world.end("h")
    world.end("l")
    assert world.started() == ["r"]
    world.end("r")
    assert world.started() == ["j"]


def test_the_failure_of_a_task_skips_everything_behind_it_and_names_it() -> None:
    world = World()
    execution = world.submit(CHAIN)
    world.end("a", a_failure("boom"))
    assert statuses(execution) == {"a": "Failed", "b": "Skipped", "c": "Skipped"}
    assert execution.tasks[2].reason == "dependency 'a' failed"
    assert (execution.status, execution.error_task, execution.error_message) == (
        "Failed",
        "a",
        "boom",
    )


def test_a_task_skipped_by_its_own_rule_lets_its_dependents_run_with_its_input() -> None:
    gate = all_of(context_value("go", "==", True))
    world = World()
    execution = world.submit(
        a_workflow(a_task("a"), a_task("b", "a", rule=gate), a_task("c", "b")), go=False
    )
    world.end("a", assigned(y=1))
    assert world.started() == ["c"]
    assert world.seen_by("c") == {"go": "false", "y": "1"}
    world.end("c")
    assert (execution.status, execution.tasks[1].status) == ("Completed", "Skipped")


def test_always_runs_after_a_failure_and_the_execution_still_fails() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b", "a", rule=always())))
    world.end("a", a_failure())
    world.end("b")
    assert execution.status == "Failed"


def test_a_failure_that_a_completed_dependent_names_is_handled() -> None:
    rule = all_of(task_failed("a"))
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b", "a", rule=rule)))
    world.end("a", a_failure())
    world.end("b")
    assert execution.status == "Completed"


def test_a_task_that_may_fail_does_not_fail_the_execution() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", allow_failure=True)))
    world.end("a", a_failure())
    assert (execution.status, execution.tasks[0].status) == ("Completed", "Failed")


def test_a_failed_attempt_is_retried_after_its_delay_and_not_before() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", a_failure())
    assert (execution.tasks[0].status, execution.tasks[0].sub_status) == ("Ready", "Retrying")
    assert world.planner.next_due_us == world.now_us + 2_000_000
    world.pass_time(1.9)
    assert world.started() == []
    world.pass_time(0.1)
    assert world.started() == ["a"]
    world.end("a")
    assert (execution.status, execution.tasks[0].attempt) == ("Completed", 2)


def test_a_task_fails_when_its_attempts_are_used_up() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    for _ in range(3):
        world.end("a", a_failure())
        world.pass_time(2)
    assert (execution.status, execution.tasks[0].attempt) == ("Failed", 3)


def test_a_report_with_a_stale_token_changes_nothing() -> None:
    world = World()
    world.submit(CHAIN)
    start = world.running["e", "a"]
    stale = AttemptEnded(execution_id="e", task_number=0, token="other", result=assigned())
    world.step(stale)
    assert world.running["e", "a"] is start
    world.end("a")
    world.step(
        AttemptEnded(execution_id="e", task_number=0, token=start.token, result=assigned(z=1))
    )
    assert world.seen_by("b") == {}


def test_no_more_attempts_run_than_there_are_slots_and_all_slots_come_back() -> None:
    wide = a_workflow(*(a_task(f"t{n}") for n in range(5)))
    world = World(slots=2)
    execution = world.submit(wide)
    seen = []
    while world.running:
        assert len(world.running) <= 2
        name = world.started()[0]
        seen.append(name)
        world.end(name)
    assert (len(seen), execution.status) == (5, "Completed")
    assert world.planner._schedule.free_slots == 2


def test_waiting_tasks_start_by_priority_then_by_age() -> None:
    one = a_workflow(a_task("a"))
    world = World(slots=1)
    world.submit(one, id="first")
    world.now_us += 1
    world.submit(one, id="second")
    world.now_us += 1
    world.submit(one, id="urgent", priority=5)
    order = []
    while world.running:
        ((id, _),) = world.running
        order.append(id)
        world.end("a", id=id)
    assert order == ["first", "urgent", "second"]


def test_branches_that_changed_a_key_win_over_those_that_passed_it_on() -> None:
    world = World()
    world.submit(
        a_workflow(a_task("l"), a_task("r"), a_task("j", "l", "r")), n=1, gone=True, kept=0
    )
    world.end("l", assigned(n=2))
    world.end("r", removed("gone"))
    assert world.seen_by("j") == {"n": "2", "kept": "0"}


def test_branches_that_changed_the_same_key_are_merged_in_declared_order() -> None:
    world = World()
    world.submit(a_workflow(a_task("l"), a_task("r"), a_task("j", "r", "l")), n=0)
    world.end("l", assigned(n=1, o={"a": 1, "c": [1, 2]}))
    world.end("r", assigned(n=2, o={"b": 2, "c": [2, 3]}))
    assert world.seen_by("j") == {"n": "1", "o": '{"b":2,"c":[2,3,1],"a":1}'}


def test_the_final_context_merges_all_leaves() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("l"), a_task("r")), x=0)
    world.end("l", assigned(left=1))
    world.end("r", assigned(right=2))
    assert texts_of(execution.views.final()) == {"x": "0", "left": "1", "right": "2"}


def test_views_are_let_go_once_nobody_needs_them() -> None:
    world = World()
    execution = world.submit(CHAIN, big="x" * 100)
    world.end("a", assigned(y=1))
    world.end("b")
    assert set(execution.views._passed_on) <= {1, 2}
    world.end("c")
    assert texts_of(execution.views.final())["y"] == "1"


def a_stored(world: World, losses: int = 0) -> Claimed:
    """The chain, cut off while the second task ran."""
    execution = world.submit(CHAIN, x=1)
    world.end("a", assigned(y=2))

    def stored(task: int) -> StoredTask:
        state = execution.tasks[task]
        return StoredTask(
            number=state.number,
            status=state.status,
            sub_status=state.sub_status,
            attempt=state.attempt,
            failures=state.failures,
            losses=losses,
            due_at_us=None,
            started_at_us=state.started_at_us,
            finished_at_us=state.finished_at_us,
            changes=state.changes,
            reason=None,
            error_type=None,
            error_message=None,
            token=state.token,
        )

    return Claimed(
        stored=StoredExecution(
            identity=execution.identity,
            topology=execution.topology,
            input_texts=execution.input_texts,
            status="Running",
            stopping=None,
            epoch=2,
            event_count=execution.event_count,
            created_at_us=execution.created_at_us,
            started_at_us=execution.started_at_us,
            finished_at_us=None,
            error_task=None,
            error_type=None,
            error_message=None,
            tasks=tuple(stored(number) for number in range(3)),
        )
    )


def test_a_claimed_execution_starts_only_what_was_not_completed() -> None:
    claimed = a_stored(World())
    world = World()
    world.step(claimed)
    assert world.started() == ["b"]
    assert world.running["e", "b"].attempt == 2
    assert world.seen_by("b") == {"x": "1", "y": "2"}
    world.end("b")
    world.end("c")
    assert world.ended["e"].status == "Completed"


def test_a_task_whose_runner_is_lost_too_often_is_abandoned() -> None:
    claimed = a_stored(World(), losses=4)
    world = World()
    world.step(claimed)
    execution = world.ended["e"]
    assert (execution.status, execution.error_type) == ("Failed", "Abandoned")


def test_the_slot_of_a_forgotten_execution_comes_back_when_its_body_has_ended() -> None:
    world = World(slots=1)
    world.submit(CHAIN, id="lost")
    world.submit(CHAIN, id="other")
    world.planner.forget("lost")
    world.pass_time(0)
    assert world.started("other") == []
    world.end("a", id="lost")
    assert world.started("other") == ["a"]


def test_the_slots_of_attempts_that_never_began_go_to_others() -> None:
    world = World(slots=1)
    world.submit(CHAIN, id="lost")
    world.submit(CHAIN, id="other")
    token = world.running["lost", "a"].token
    world.planner.forget("lost")
    now = Now(world.now_us, world.now_us)
    starts = world.planner.withdraw([token], now)
    assert [type(effect) for effect in starts] == [StartAttempt]
    assert starts[0].execution.id == "other"


def test_a_place_in_the_queue_of_an_earlier_ownership_starts_nothing_early() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("a")), id="other")
    done = a_stored(World())
    world.step(done)  # "b" waits for a slot
    world.planner.forget("e")
    first, *rest = done.stored.tasks
    undone = replace(first, status="Ready", changes=None, finished_at_us=None)
    waiting = (replace(task, status="NotStarted", token=None) for task in rest)
    world.step(Claimed(stored=replace(done.stored, tasks=(undone, *waiting))))
    world.end("a", id="other")
    assert world.started() == ["a"]


def test_a_graph_can_gain_tasks_while_it_runs() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b", "a")))
    world.end("a", assigned(y=1))
    larger = a_workflow(
        a_task("a"), a_task("b", "a"), a_task("late", "a"), a_task("last", "b", "late")
    )
    ready = decide.grow(execution, Topology.of(larger), world.now_us)
    assert [task.number for task in ready] == [2]
    assert texts_of(execution.views.seen_by(2)) == {"y": "1"}
    world.end("b")
    assert execution.status == "Running"
    assert [task.waiting_for for task in execution.tasks] == [0, 0, 0, 1]


def test_no_retry_waits_for_a_moment_that_the_calendar_does_not_have() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", replace(a_failure(), is_retry_wanted=True, retry_after_ms=2**53))
    due_at_us = execution.tasks[0].due_at_us or 0
    assert due_at_us - world.now.utc_us == settle.LONGEST_DELAY_MS * 1000


def test_a_time_limit_from_before_a_retry_does_not_end_the_execution() -> None:
    world, base = World(), a_stored(World()).stored
    limited = a_workflow(a_task("a"), timeout_ms=10_000)
    world.submit(limited)
    world.pass_time(4)
    world.end("a", a_failure())
    first = replace(base.tasks[1], number=0, status="Ready", token=None, started_at_us=None)
    again = replace(base, topology=Topology.of(limited), tasks=(first,), started_at_us=world.now_us)
    world.ended.clear()
    world.step(Claimed(stored=again))
    execution = world.planner_execution("e")
    world.pass_time(7)
    assert (execution.status, execution.stopping) == ("Running", None)
    world.pass_time(3)
    assert execution.stopping == "Timeout"
