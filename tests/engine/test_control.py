"""Cancelling, pausing, time limits and what tasks ask for, event by event."""

from dataclasses import replace

import pytest

from cloacina.model.states import Wish
from cloacina.model.topology import Topology
from cloacina.planner.events import AttemptEnded, Claimed, Identity, Now, Requested
from cloacina.planner.offered import OffersSeen
from cloacina.planner.queue.pools import Pool
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.rules import all_of, task_failed
from cloacina_sdk.signals import Fatal, Retry
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.waiting import Wait
from engine.graphs import World, a_failure, a_task, a_workflow, assigned, statuses
from engine.test_planner import CHAIN, THRICE, a_stored

WIDE = a_workflow(a_task("a"), a_task("b"), a_task("c", "a"))


def test_cancelling_starts_nothing_more_and_asks_what_runs_to_end() -> None:
    world = World()
    execution = world.submit(WIDE)
    world.ask(Wish.CANCEL)
    assert statuses(execution) == {"a": "Running", "b": "Running", "c": "Cancelled"}
    assert [(stop.task_number, stop.is_kill) for stop in world.stopped] == [(0, False), (1, False)]
    world.end("a", assigned(x=1))
    assert execution.status == "Running"
    world.end("b", a_failure("CancelledError"))
    assert statuses(execution) == {"a": "Completed", "b": "Cancelled", "c": "Cancelled"}
    assert execution.status == "Cancelled"
    assert world.ended == {"e": execution}


def test_cancelling_what_does_not_run_ends_it_at_once() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("a")), id="first")
    execution = world.submit(a_workflow(a_task("a")))
    world.ask(Wish.CANCEL)
    assert execution.status == "Cancelled"
    world.end("a", id="first")
    assert world.running == {}


def test_an_attempt_that_ignores_its_cancellation_is_given_up_but_keeps_its_slot() -> None:
    world = World(slots=1)
    execution = world.submit(a_workflow(a_task("a")))
    world.submit(a_workflow(a_task("a")), id="next")
    world.ask(Wish.CANCEL)
    world.pass_time(5)
    assert execution.status == "Cancelled"
    assert [stop.is_kill for stop in world.stopped] == [False, True]
    assert world.started("next") == []
    world.end("a", assigned(late=1))
    assert world.started("next") == ["a"]
    assert execution.tasks[0].changes is None


def test_cancelling_twice_or_after_the_end_changes_nothing() -> None:
    world = World()
    execution = world.submit(CHAIN)
    world.ask(Wish.CANCEL)
    world.ask(Wish.CANCEL)
    world.end("a")
    assert len(world.stopped) == 1
    saves = world.saves
    world.ask(Wish.CANCEL)
    assert (execution.status, world.saves) == ("Cancelled", saves)


def test_a_cancelled_task_stays_cancelled_when_what_it_waited_for_succeeds() -> None:
    gate = all_of(task_failed("a"))
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b", "a", rule=gate)))
    world.ask(Wish.CANCEL)
    world.end("a")
    assert statuses(execution) == {"a": "Completed", "b": "Cancelled"}
    assert execution.status == "Cancelled"


def test_a_wish_that_comes_between_the_end_and_its_commit_changes_nothing() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a")))
    start, now = world.running["e", "a"], Now(world.now_us, world.now_us)
    ended = AttemptEnded(
        execution_id="e", task_number=0, token=start.token, result=assigned(done=True)
    )
    world.planner.step(ended, now)
    world.planner.step(Requested(execution_id="e", wish=Wish.CANCEL), now)
    assert (execution.status, execution.stopping) == ("Completed", None)


def test_a_task_given_up_at_a_takeover_stops_a_workflow_that_fails_fast() -> None:
    stored = a_stored(World(), losses=4).stored
    forked = a_workflow(a_task("a"), a_task("b", "a"), a_task("c", "a"), fail_fast=True)
    first, second, third = stored.tasks
    tasks = first, second, replace(third, status="Ready")
    world = World()
    world.step(Claimed(stored=replace(stored, topology=Topology.of(forked), tasks=tasks)))
    execution = world.ended["e"]
    assert statuses(execution) == {"a": "Completed", "b": "Failed", "c": "Cancelled"}
    assert (execution.status, execution.error_type) == ("Failed", "Abandoned")


def test_a_cancelled_retry_does_not_come_back() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", a_failure())
    world.ask(Wish.CANCEL)
    assert execution.status == "Cancelled"
    world.pass_time(10)
    assert world.running == {}


def test_a_paused_execution_lets_run_what_runs_and_starts_nothing() -> None:
    world = World()
    execution = world.submit(CHAIN)
    world.ask(Wish.PAUSE)
    world.end("a")
    assert (execution.status, world.started()) == ("Paused", [])
    assert execution.tasks[1].status == "Ready"
    world.ask(Wish.RESUME)
    assert (execution.status, world.started()) == ("Running", ["b"])
    world.end("b")
    world.end("c")
    assert execution.status == "Completed"


def test_a_retry_that_falls_due_while_paused_starts_on_resume_and_only_once() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", a_failure())
    world.ask(Wish.PAUSE)
    world.pass_time(3)
    assert world.running == {}
    world.ask(Wish.RESUME)
    assert world.started() == ["a"]
    world.end("a", a_failure())
    world.pass_time(1)
    assert world.running == {}
    world.pass_time(1)
    assert execution.tasks[0].attempt == 3


def test_a_retry_is_not_early_because_a_clock_was_set_forward_while_it_was_paused() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", a_failure())
    world.ask(Wish.PAUSE)
    world.utc_offset_us += 86_400_000_000
    world.ask(Wish.RESUME)
    assert world.running == {}
    world.pass_time(3)
    assert execution.tasks[0].attempt == 2


def test_a_retry_that_was_due_when_it_was_claimed_starts_on_resume() -> None:
    stored = a_stored(World()).stored
    world = World()
    first, second, third = stored.tasks
    second = replace(
        second,
        status="Ready",
        sub_status="Retrying",
        failures=1,
        token=None,
        due_at_us=world.now.utc_us - 1,
    )
    paused = replace(stored, status="Paused", tasks=(first, second, third))
    world.step(Claimed(stored=paused))
    assert world.running == {}
    world.ask(Wish.RESUME)
    assert world.started() == ["b"]


def test_an_offer_of_what_is_paused_is_withdrawn_by_a_runner_that_stops_too() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("a")), id="busy")
    execution = world.submit(a_workflow(a_task("a")))
    world.step(OffersSeen(peer_slots=1, offers=()))
    assert execution.tasks[0].sub_status == "Offered"
    world.planner.start_nothing_more()
    world.planner.step(Requested(execution_id="e", wish=Wish.PAUSE), world.now)
    assert list(execution.offers.withdrawn) == [(0, 1)]
    assert execution.tasks[0].sub_status is None


def test_pausing_and_resuming_in_a_queue_starts_a_task_once() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("a")), id="first")
    execution = world.submit(a_workflow(a_task("a")))
    world.ask(Wish.PAUSE)
    world.ask(Wish.RESUME)
    world.end("a", id="first")
    world.end("a")
    assert (execution.status, execution.tasks[0].attempt) == ("Completed", 1)


def test_an_execution_that_ends_while_paused_completes() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a")))
    world.ask(Wish.PAUSE)
    world.end("a")
    assert execution.status == "Completed"


def test_a_paused_execution_can_be_cancelled() -> None:
    world = World()
    execution = world.submit(CHAIN)
    world.ask(Wish.PAUSE)
    world.ask(Wish.CANCEL)
    world.end("a")
    assert execution.status == "Cancelled"


def test_an_attempt_that_takes_too_long_fails_and_is_retried() -> None:
    world = World(slots=2)
    execution = world.submit(a_workflow(a_task("a", retry=THRICE, timeout_ms=1000)))
    world.pass_time(0.9)
    assert execution.tasks[0].failures == 0
    world.pass_time(0.1)
    assert (execution.tasks[0].status, execution.tasks[0].failures) == ("Ready", 1)
    assert world.stopped[0].is_kill
    world.pass_time(2)
    assert execution.tasks[0].attempt == 2
    world.end("a", assigned(x=1))
    assert execution.status == "Completed"


class Heeding:
    """Everything runs where bodies end when they are asked to."""

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        return Pool(name="loop", heeds=True)


LIMITED = a_workflow(a_task("a", retry=THRICE, timeout_ms=1000))


@pytest.mark.parametrize("end", [assigned(x=1), a_failure("CancelledError"), Wait.event("go")])
def test_what_takes_too_long_is_asked_to_end_and_has_failed_when_it_does_however(
    end: Changes | TaskFailure | Wait,
) -> None:
    world = World(slots=1, pools=Heeding())
    execution = world.submit(LIMITED)
    world.pass_time(1)
    assert [stop.is_kill for stop in world.stopped] == [False]
    assert execution.tasks[0].status == "Running"
    world.pass_time(4)
    world.end("a", end)
    assert (execution.tasks[0].status, execution.tasks[0].failures) == ("Ready", 1)
    assert world.settled[-1].failure is not None
    message = world.settled[-1].failure.message
    assert message == "the attempt did not end within 1 s, and ended when it was asked to"
    world.pass_time(2)
    assert (execution.tasks[0].attempt, execution.tasks[0].changes) == (2, None)
    world.pass_time(0.9)  # the grace of the first attempt is none of the second's
    assert execution.tasks[0].failures == 1


def test_what_takes_too_long_and_ignores_that_it_is_asked_to_end_is_given_up() -> None:
    world = World(slots=1, pools=Heeding())
    execution = world.submit(LIMITED)
    world.pass_time(1)
    world.pass_time(5)
    assert [stop.is_kill for stop in world.stopped] == [False, True]
    assert execution.tasks[0].failures == 1
    assert world.settled[-1].failure is not None
    message = world.settled[-1].failure.message
    assert message.startswith(
        "the attempt did not end within 1 s, nor 5 s after it was asked to; it cannot be killed"
    )
    world.pass_time(2)
    assert execution.tasks[0].attempt == 1  # the slot is not free
    world.end("a", assigned(late=1))
    assert execution.tasks[0].attempt == 2


def test_what_takes_too_long_is_not_asked_twice_when_its_execution_is_cancelled() -> None:
    world = World(pools=Heeding())
    execution = world.submit(LIMITED)
    world.pass_time(1)
    world.pass_time(3)
    world.ask(Wish.CANCEL)
    assert [stop.is_kill for stop in world.stopped] == [False]
    world.pass_time(2)
    assert [stop.is_kill for stop in world.stopped] == [False, True]
    assert execution.status == "Cancelled"


def test_what_is_being_cancelled_keeps_its_time_of_grace_though_its_limit_comes() -> None:
    world = World(pools=Heeding())
    execution = world.submit(LIMITED)
    world.pass_time(0.5)
    world.ask(Wish.CANCEL)
    world.pass_time(1)
    assert [stop.is_kill for stop in world.stopped] == [False]
    world.end("a", assigned(x=1))
    assert statuses(execution) == {"a": "Completed"}


def test_the_runner_limits_tasks_that_name_no_limit() -> None:
    world = World(attempt_timeout_us=2_000_000)
    execution = world.submit(a_workflow(a_task("a")))
    world.pass_time(2)
    assert (execution.status, execution.error_type) == ("Failed", "TaskTimeout")
    message = execution.error_message or ""
    assert message.startswith("the attempt did not end within 2 s; it cannot be killed where it")


def test_an_execution_that_takes_too_long_fails_and_cancels_what_is_left() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b", "a"), timeout_ms=3000))
    world.pass_time(3)
    assert execution.status == "Running"  # the attempt has its time of grace
    world.end("a", a_failure("cancelled"))
    assert (execution.status, execution.error_type) == ("Failed", "WorkflowTimeout")
    assert statuses(execution) == {"a": "Cancelled", "b": "Cancelled"}


def test_a_claimed_execution_can_be_cancelled() -> None:
    claimed = a_stored(World())
    world = World()
    world.step(claimed)
    world.ask(Wish.CANCEL)
    world.end("b", a_failure())
    assert world.ended["e"].status == "Cancelled"


def test_fail_fast_cancels_what_is_left() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_task("b"), a_task("c", "b"), fail_fast=True))
    world.end("a", a_failure("broken"))
    assert [stop.task_number for stop in world.stopped] == [1]
    world.end("b", a_failure("cancelled"))
    assert statuses(execution) == {"a": "Failed", "b": "Cancelled", "c": "Cancelled"}
    assert (execution.status, execution.error_message) == ("Failed", "broken")


def test_fail_fast_lets_a_handled_failure_be_handled() -> None:
    rule = all_of(task_failed("a"))
    world = World()
    execution = world.submit(
        a_workflow(a_task("a"), a_task("rescue", "a", rule=rule), fail_fast=True)
    )
    world.end("a", a_failure())
    world.end("rescue")
    assert execution.status == "Completed"


def test_a_task_can_ask_for_another_attempt_after_a_time_of_its_own() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", failure_of(Retry("busy", after="7s")))
    world.pass_time(6.9)
    assert world.running == {}
    world.pass_time(0.1)
    assert execution.tasks[0].attempt == 2


@pytest.mark.parametrize("error", [Fatal("hopeless")])
def test_a_task_can_refuse_another_attempt(error: Exception) -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", failure_of(error))
    assert (execution.status, execution.tasks[0].attempt) == ("Failed", 1)


def test_a_wall_clock_that_jumps_back_does_not_lose_a_retry() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a", retry=THRICE)))
    world.end("a", a_failure())
    world.utc_offset_us = -3_600_000_000
    world.pass_time(2)
    assert execution.tasks[0].attempt == 2
