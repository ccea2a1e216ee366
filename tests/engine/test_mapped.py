"""What the planner decides about mapped tasks, without a database."""

from typing import Any

import pytest

from cloacina.model.states import Wish
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import BackoffStrategy, RetryPolicy
from cloacina_sdk.rules import all_of, task_failed
from cloacina_sdk.spec import TaskSpec, WorkflowSpec
from engine.graphs import ONCE, World, a_failure, a_task, a_workflow, assigned, removed, statuses

TWICE = (
    RetryPolicy.builder()
    .max_attempts(2)
    .initial_delay(2.0)
    .backoff_strategy(BackoffStrategy.fixed())
    .with_jitter(False)
    .build()
)


def a_mapped(
    id: str = "m",
    *dependencies: str,
    max_parallel: int | None = None,
    retry: RetryPolicy = ONCE,
    allow_failure: bool = False,
) -> TaskSpec:
    return a_task(
        id,
        *dependencies,
        retry=retry,
        allow_failure=allow_failure,
        mapped=Mapped(over="xs", max_parallel=max_parallel),
    )


def mapped_and_after(**options: object) -> WorkflowSpec:
    return a_workflow(a_mapped(**options), a_task("after", "m"))  # type: ignore[arg-type]  # as it takes them


def test_each_element_runs_and_the_results_come_in_the_order_of_the_list() -> None:
    world = World()
    execution = world.submit(mapped_and_after(), xs=["a", "b", "c"])
    assert world.started() == ["m[0]", "m[1]", "m[2]"]
    element = world.running["e", "m[1]"].element
    assert element is not None
    assert (element.index, element.text) == (1, '"b"')
    for place in (2, 0, 1):
        world.end(f"m[{place}]", assigned(m=place * 10))
    assert world.seen_by("after") == {"xs": '["a","b","c"]', "m": "[0,10,20]"}
    world.end("after")
    assert statuses(execution) == {"m": "Completed", "after": "Completed"}


def test_all_elements_see_one_and_the_same_context() -> None:
    world = World()
    world.submit(mapped_and_after(), xs=[1, 2])
    assert world.running["e", "m[0]"].texts is world.running["e", "m[1]"].texts


def test_results_come_under_the_key_that_the_task_names() -> None:
    world = World()
    task = a_task("m", mapped=Mapped(over="xs", into="xs"))
    world.submit(a_workflow(task, a_task("after", "m")), xs=[1, 2])
    for place in (0, 1):
        world.end(f"m[{place}]", assigned(xs=place))
    assert world.seen_by("after") == {"xs": "[0,1]"}


def test_an_empty_list_is_done_at_once() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("busy")), id="other")
    execution = world.submit(mapped_and_after(), xs=[])
    assert statuses(execution) == {"m": "Completed", "after": "Ready"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"ys": 1}, "its context has no such key; it holds 'ys'"),
        ({"xs": {"a": 1}}, "which holds an object instead of an array"),
        ({"xs": "text"}, "which holds a string instead of an array"),
        ({"xs": None}, "which holds null instead of an array"),
    ],
)
def test_a_task_without_a_list_fails_and_says_what_was_found(
    given: dict[str, Any], complaint: str
) -> None:
    world = World()
    execution = world.submit(mapped_and_after(), **given)
    assert statuses(execution) == {"m": "Failed", "after": "Skipped"}
    assert execution.error_type == "NoList"
    assert complaint in str(execution.error_message)


def test_only_as_many_elements_run_as_may() -> None:
    world = World()
    world.submit(mapped_and_after(max_parallel=2), xs=list(range(5)))
    assert world.started() == ["m[0]", "m[1]"]
    world.end("m[1]", assigned(m=0))
    assert world.started() == ["m[0]", "m[2]"]


def test_an_element_that_is_retried_counts_as_running_again() -> None:
    world = World()
    world.submit(mapped_and_after(max_parallel=1, retry=TWICE), xs=[0, 1, 2])
    world.end("m[0]", a_failure())
    assert world.started() == ["m[1]"]
    world.pass_time(2)
    assert world.started() == ["m[1]"]
    world.end("m[1]", assigned(m=1))
    assert len(world.started()) == 1
    done = world.started()[0]
    world.end(done, assigned(m=0))
    assert {done, *world.started()} == {"m[0]", "m[2]"}


def test_elements_that_did_not_move_have_no_state() -> None:
    world = World(slots=3)
    execution = world.submit(mapped_and_after(), xs=list(range(100_000)))
    expansion = execution.expansions[0]
    assert (expansion.count, expansion.moved, len(expansion.open)) == (100_000, 3, 3)
    for place in range(50):
        world.end(f"m[{place}]", assigned(m=place))
    assert (expansion.moved, len(expansion.open)) == (53, 3)


def test_a_failed_element_fails_the_task_once_all_others_have_ended() -> None:
    world = World()
    execution = world.submit(mapped_and_after(), xs=[1, 2, 3])
    world.end("m[2]", a_failure("late"))
    world.end("m[1]", a_failure("boom"))
    assert statuses(execution)["m"] == "Running"
    world.end("m[0]", assigned(m=0))
    assert statuses(execution) == {"m": "Failed", "after": "Skipped"}
    assert execution.error_message == (
        "2 of 3 elements failed; the first is element 1: ValueError: boom"
    )


def test_a_failure_that_is_allowed_passes_the_context_through() -> None:
    rule = all_of(task_failed("m"))
    world = World()
    execution = world.submit(
        a_workflow(a_mapped(allow_failure=True), a_task("after", "m", rule=rule)), xs=[1]
    )
    world.end("m[0]", a_failure())
    assert world.seen_by("after") == {"xs": "[1]"}
    world.end("after")
    assert execution.status == "Completed"


def test_fail_fast_stops_the_other_elements() -> None:
    world = World(slots=2)
    workflow = a_workflow(a_mapped(), a_task("after", "m"), fail_fast=True)
    execution = world.submit(workflow, xs=list(range(10)))
    world.end("m[0]", a_failure())
    assert [stop.task_number for stop in world.stopped] == [execution.expansions[0].first + 1]
    world.end("m[1]", a_failure("CancelledError"))
    assert (execution.status, execution.error_task) == ("Failed", "m")
    assert statuses(execution) == {"m": "Failed", "after": "Cancelled"}


def test_cancelling_stops_what_runs_and_starts_nothing_more() -> None:
    world = World(slots=2)
    execution = world.submit(mapped_and_after(), xs=list(range(10)))
    world.end("m[0]", assigned(m=0))
    world.ask(Wish.CANCEL)
    assert len(world.stopped) == 2
    world.end("m[1]", a_failure("stopped"))
    assert execution.status == "Running"
    world.end("m[2]", a_failure("stopped"))
    assert execution.status == "Cancelled"
    assert statuses(execution) == {"m": "Cancelled", "after": "Cancelled"}
    assert execution.expansions[0].moved == 3


def test_a_pause_lets_elements_end_and_a_resume_goes_on() -> None:
    world = World(slots=1)
    execution = world.submit(mapped_and_after(), xs=[0, 1, 2])
    world.ask(Wish.PAUSE)
    world.end("m[0]", assigned(m=0))
    assert world.started() == []
    world.ask(Wish.RESUME)
    world.end("m[1]", assigned(m=1))
    world.end("m[2]", assigned(m=2))
    assert world.seen_by("after")["m"] == "[0,1,2]"
    assert statuses(execution)["m"] == "Completed"


def test_a_task_that_becomes_ready_while_paused_is_expanded_by_the_resume() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_mapped("m", "a")))
    world.ask(Wish.PAUSE)
    world.end("a", assigned(xs=[1]))
    assert statuses(execution)["m"] == "Ready"
    world.ask(Wish.RESUME)
    assert world.started() == ["m[0]"]


def test_an_element_that_takes_too_long_is_retried_alone() -> None:
    world = World()
    task = a_task("m", retry=TWICE, timeout_ms=1_000, mapped=Mapped(over="xs"))
    execution = world.submit(a_workflow(task), xs=[0, 1])
    world.end("m[1]", assigned(m=1))
    world.pass_time(1)
    assert [stop.is_kill for stop in world.stopped] == [True]
    world.running.clear()
    world.pass_time(2)
    assert world.started() == ["m[0]"]
    world.end("m[0]", assigned(m=0))
    assert execution.status == "Completed"


def test_an_executor_that_reports_something_else_than_a_result_fails_the_element() -> None:
    world = World()
    execution = world.submit(mapped_and_after(), xs=[0])
    world.end("m[0]", assigned(other=1))
    assert "no result of an element, which is 'm' alone, but 'other'" in str(
        execution.error_message
    )


def test_two_mapped_tasks_have_elements_of_their_own() -> None:
    world = World()
    execution = world.submit(a_workflow(a_mapped("m"), a_mapped("n"), a_mapped("o", "m")), xs=[7])
    assert world.started() == ["m[0]", "n[0]"]
    world.end("m[0]", assigned(m=1))
    world.end("n[0]", assigned(n=2))
    world.end("o[0]", assigned(o=3))
    firsts = [execution.expansions[number].first for number in range(3)]
    assert firsts == [3, 4, 5]
    assert execution.status == "Completed"


def test_a_list_that_a_dependency_removed_is_not_there() -> None:
    world = World()
    execution = world.submit(a_workflow(a_task("a"), a_mapped("m", "a")), xs=[1])
    world.end("a", removed("xs"))
    assert execution.error_type == "NoList"


def test_a_task_that_becomes_ready_later_waits_behind_elements_of_its_execution() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_mapped("m"), a_task("z")), xs=[0, 1])
    for name in ("m[0]", "m[1]", "z"):
        assert world.started() == [name]
        world.end(name, assigned(m=0))
