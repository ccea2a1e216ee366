"""What a planner offers, takes back and concedes, event by event."""

from dataclasses import replace

import pytest

from cloacina.model.states import Wish
from cloacina.planner import offers
from cloacina.planner.events import Claimed, Identity
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves.concede import concede
from cloacina.planner.offered import OffersSeen, SeenOffer
from cloacina.planner.queue.pools import Pool
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import TaskSpec
from engine.graphs import World, a_failure, a_task, a_workflow, assigned, statuses
from engine.test_planner import a_stored

THREE = a_workflow(a_task("a"), a_task("b"), a_task("c"))


def a_world(slots: int = 1, peer_slots: int = 1) -> World:
    world = World(slots=slots)
    see(world, peer_slots=peer_slots)
    return world


def see(world: World, *found: SeenOffer, peer_slots: int = 1) -> None:
    world.step(OffersSeen(peer_slots=peer_slots, offers=found))


def a_claim(
    number: int,
    token: str = "theirs",  # noqa: S107 - names an attempt, opens nothing
    result: Changes | TaskFailure | None = None,
) -> SeenOffer:
    return SeenOffer(
        execution_id="e",
        task_number=number,
        attempt=1,
        runner="other",
        token=token,
        claimed_at_us=0,
        result=result,
        is_runner_alive=True,
    )


def offered(execution: ExecutionState) -> list[int]:
    return [task.number for task in execution.tasks if task.sub_status == "Offered"]


def test_a_lone_runner_offers_nothing() -> None:
    world = World(slots=1)
    execution = world.submit(THREE)
    assert offered(execution) == []


def test_what_has_no_slot_is_offered_as_far_as_others_have_slots() -> None:
    world = a_world()
    execution = world.submit(THREE)
    assert world.started() == ["a"]
    assert offered(execution) == [1]
    see(world, peer_slots=5)
    assert offered(execution) == [1, 2]


def test_offers_are_withdrawn_when_the_others_leave() -> None:
    world = a_world(peer_slots=2)
    execution = world.submit(THREE)
    see(world, peer_slots=0)
    assert offered(execution) == []
    world.end("a")
    assert world.started() == ["b"]


def test_a_free_slot_takes_an_offer_back() -> None:
    world = a_world(peer_slots=2)
    execution = world.submit(THREE)
    world.end("a")
    assert world.started() == ["b"]
    assert offered(execution) == [2]


def test_an_offer_is_left_to_the_others_while_something_of_its_priority_waits() -> None:
    world = a_world()
    world.submit(THREE)
    world.end("a")
    assert world.started() == ["c"]  # b is on offer, for a second
    world.pass_time(1)
    world.submit(THREE, id="later")
    world.end("c")
    assert world.started() == ["b"]


def test_the_more_urgent_is_offered_in_place_of_the_less_urgent() -> None:
    world = a_world()
    execution = world.submit(THREE)
    urgent = world.submit(THREE, id="urgent", priority=9)
    assert offered(execution) == []
    assert offered(urgent) == [0]


def test_a_claimed_attempt_runs_elsewhere_and_its_result_is_taken() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, a_claim(1))
    assert statuses(execution) == {"a": "Running", "b": "Running", "c": "Ready"}
    assert world.started() == ["a"]
    see(world, a_claim(1, result=assigned(b=1)))
    assert statuses(execution)["b"] == "Completed"
    assert [settled.failure for settled in world.settled] == [None]


def test_a_failure_elsewhere_counts_as_one_here() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, a_claim(1, result=a_failure("no")))
    assert statuses(execution)["b"] == "Failed"
    assert execution.tasks[1].error_message == "no"


def test_a_result_under_a_stale_token_changes_nothing() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, a_claim(1))
    see(world, a_claim(1, token="stale", result=assigned(b=1)))
    assert statuses(execution)["b"] == "Running"
    see(world, replace(a_claim(1, result=assigned(b=1)), attempt=2, token="stale"))
    assert statuses(execution)["b"] == "Running"


def test_an_attempt_whose_claimer_died_is_lost_and_starts_again() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, replace(a_claim(1), is_runner_alive=False))
    assert (execution.tasks[1].losses, execution.tasks[1].status) == (1, "Ready")


def test_what_was_reported_before_its_runner_left_is_accepted() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, replace(a_claim(1, result=assigned(b=1)), is_runner_alive=False))
    assert statuses(execution)["b"] == "Completed"


def test_pausing_withdraws_offers_and_resuming_makes_them_again() -> None:
    world = a_world()
    execution = world.submit(THREE)
    world.ask(Wish.PAUSE)
    assert offered(execution) == []
    world.ask(Wish.RESUME)
    assert offered(execution) == [1]


def test_an_attempt_elsewhere_is_asked_to_end_and_given_up_after_its_grace() -> None:
    world = a_world()
    execution = world.submit(THREE)
    see(world, a_claim(1))
    world.ask(Wish.CANCEL)
    assert statuses(execution) == {"a": "Running", "b": "Running", "c": "Cancelled"}
    assert [stop.task_number for stop in world.stopped] == [0]  # the other is asked by its row
    world.pass_time(5)
    assert statuses(execution)["b"] == "Cancelled"
    see(world, a_claim(1, result=assigned(late=1)))
    assert execution.tasks[1].changes is None


def test_a_start_that_came_too_late_is_conceded_to_the_claimer() -> None:
    world = a_world(peer_slots=2)
    execution = world.submit(THREE)
    start = world.running.pop(("e", "a"))
    effects = world.planner.withdraw([start.token], world.now)  # a slot came free
    assert [getattr(effect, "task_number", None) for effect in effects] == [1]
    (unsaved,) = world.planner.take_unsaved()
    world.planner.concede([unsaved], [a_claim(1)], world.now)
    assert (execution.tasks[1].token, execution.tasks[1].runner) == ("theirs", "other")
    assert [(s.token, s.runner) for s in execution.unsaved.starts] == [("theirs", "other")]
    assert execution.offers.withdrawn == {}
    assert world.planner.take_unsaved() == [execution]


def test_a_cancelled_task_that_was_claimed_has_its_attempt_on_record() -> None:
    world = a_world()
    execution = world.submit(THREE)
    events = execution.event_count
    execution.offers.withdraw(1, 1)
    execution.tasks[1].sub_status = None
    execution.tasks[1].move(type(execution.tasks[1].status).CANCELLED)
    execution.record("task_cancelled", 0, 1)
    concede(execution, a_claim(1), 0)
    assert [line.kind for line in execution.unsaved.history] == ["task_started", "task_cancelled"]
    assert [line.seq for line in execution.unsaved.history] == [events + 1, events + 2]
    assert [(end.token, end.outcome) for end in execution.unsaved.ends] == [("theirs", "Cancelled")]
    assert [each.token for each in execution.offers.settled] == ["theirs"]


def test_a_context_that_is_too_large_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "LONGEST_CONTEXT", 10)
    world = a_world()
    execution = world.submit(THREE, key="x" * 20)
    assert offered(execution) == []
    world.end("a")
    assert world.started() == ["b"]


def test_what_cannot_run_here_is_offered_and_never_started() -> None:
    class Nowhere:
        def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
            return Pool(name=task.id, capacity=0 if task.id == "b" else None)

    world = World(slots=5, pools=Nowhere())
    see(world)
    execution = world.submit(THREE)
    assert sorted(world.started()) == ["a", "c"]
    assert offered(execution) == [1]
    see(world, a_claim(1, result=assigned(b=1)))
    assert statuses(execution)["b"] == "Completed"


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_new_owner_waits_for_the_living_and_starts_again_what_the_dead_had(
    *, is_alive: bool
) -> None:
    claimed = a_stored(World())
    token = claimed.stored.tasks[1].token
    assert token is not None
    offer = replace(a_claim(1, token=token), is_runner_alive=is_alive)
    world = World(slots=5)
    world.step(Claimed(stored=replace(claimed.stored, offers=(offer,))))
    assert (world.started() == ["b"]) is not is_alive
    see(world, replace(offer, result=assigned(b=1)))
    task = world.planner_execution("e").tasks[1]
    assert (task.status == "Completed") is is_alive
    assert task.losses == (0 if is_alive else 1)
