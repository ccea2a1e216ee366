"""Why a mapped task does not run: every state that its elements have, and real planners and runners."""

from dataclasses import replace
from itertools import product

import pytest

from cloacina import Reason
from cloacina.model.states import ExecutionStatus, StopReason, SubStatus, TaskStatus
from cloacina.model.topology import Topology
from cloacina.planner.events import StoredTask
from cloacina.planner.explain.execution import explain_execution
from cloacina.planner.explain.facts import Facts
from cloacina.planner.explain.task import explain_task
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.throttle import Throttle
from engine.graphs import ONCE, World, a_task, a_workflow
from engine.test_explain import (
    CASES,
    FACTS,
    FIRST,
    FREE,
    FULL,
    IN_QUEUE,
    OWNER,
    SECOND,
)

MAPPED = Topology.of(a_workflow(a_task("a"), a_task("b", "a", mapped=Mapped(over="xs"))))
PARENT = replace(SECOND, status="Running", elements=3, first_element=2)
FIRST_ELEMENT = replace(FIRST, number=2, parent=1, item=0)
"""It is done."""


def with_elements(*elements: StoredTask, elsewhere: Facts = FACTS) -> Facts:
    stored = replace(elsewhere.stored, topology=MAPPED, tasks=(FIRST, PARENT, *elements))
    return replace(elsewhere, stored=stored)


def element(**changes: object) -> StoredTask:
    return replace(SECOND, number=3, parent=1, item=1, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_mapped_task_says_how_many_of_its_elements_run_and_are_done() -> None:
    facts = with_elements(FIRST_ELEMENT, element(status="Running", attempt=1, token="t"))
    found = explain_task(facts, 1)
    assert (found.reason, found.task) == (Reason.RUNNING, "b")
    assert "task 'b' is running, 1 of its 3 elements, 1 of which are done" in found.sentence


def test_a_mapped_task_of_which_nothing_runs_says_why_its_next_element_waits() -> None:
    retrying = element(sub_status="Retrying", due_at_us=500, failures=1)
    found = explain_task(with_elements(FIRST_ELEMENT, retrying), 1)
    assert (found.reason, found.task, found.until) == (Reason.RETRY_DELAY, "b", "@500")
    assert found.sentence == (
        "no element of task 'b' is running, of 3 elements, 1 of which are done; task 'b[1]' failed "
        "once and is tried again at @500, after the delay of its retry policy"
    )


def test_an_element_that_did_not_move_waits_as_its_task_does() -> None:
    place = replace(FULL, queue={1: IN_QUEUE})
    assert explain_task(replace(with_elements(FIRST_ELEMENT), standing=place), 1).reason is (
        Reason.SLOT
    )
    limits = {1: ("key", "k")}
    elsewhere = replace(with_elements(element()), standing=None, limits=limits)
    assert explain_task(elsewhere, 1).reason is Reason.CONCURRENCY_KEY
    here = replace(with_elements(element()), standing=replace(FREE, limits={3: ("rate", "r")}))
    assert explain_task(here, 1).reason is Reason.RATE


@pytest.mark.parametrize(
    ("status", "sub_status", "stopping", "execution"),
    list(
        product(
            TaskStatus,
            (None, *SubStatus),
            (None, *StopReason),
            [each for each in ExecutionStatus if not each.is_final],
        )
    ),
)
def test_every_state_of_an_element_is_explained_to_every_asker(
    status: TaskStatus,
    sub_status: SubStatus | None,
    stopping: StopReason | None,
    execution: ExecutionStatus,
) -> None:
    moved = element(
        status=status, sub_status=sub_status, memory=CASES[Reason.EVENT].stored.tasks[1].memory
    )
    is_running = status is TaskStatus.RUNNING and sub_status is not SubStatus.DEFERRED
    for asker in CASES.values():
        facts = with_elements(FIRST_ELEMENT, moved, elsewhere=asker)
        changed = replace(facts.stored, status=execution, stopping=stopping)
        facts = replace(facts, stored=changed)
        for found in (explain_task(facts, 1), explain_execution(facts)):
            assert found.sentence
            assert found.task in {"b", None}
            assert (found.reason is Reason.RUNNING) == (is_running and facts.owner == OWNER)


def limited_and_mapped() -> TaskSpec:
    mapped = Mapped(over="xs")
    throttle = Throttle(key="k")
    return TaskSpec(
        id="m", dependencies=(), retry=ONCE, trigger_rule=None, mapped=mapped, throttle=throttle
    )


def test_a_planner_tells_how_elements_wait_that_did_not_move() -> None:
    world = World(slots=1)
    world.submit(a_workflow(a_task("long")), id="other")
    world.submit(a_workflow(a_task("m", mapped=Mapped(over="xs"))), xs=[1, 2])
    standing = world.planner.standing("e")
    assert standing is not None
    assert standing.free_slots == 0
    assert standing.queue.keys() == {0}


def test_a_planner_tells_which_limit_elements_wait_for() -> None:
    world = World()
    world.submit(a_workflow(limited_and_mapped()), id="other", xs=[1])
    world.submit(a_workflow(limited_and_mapped()), xs=[1, 2])
    standing = world.planner.standing("e")
    assert standing is not None
    assert standing.limits == {0: ("key", "k")}
