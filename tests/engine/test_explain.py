"""Why something does not run: every state that the model has, and real runners."""

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import product

import pytest

from cloacina import (
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Explanation,
    Reason,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import ExecutionNotFoundError, TaskNotFoundError
from cloacina.model.states import ExecutionStatus, StopReason, SubStatus, TaskStatus
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity, StoredExecution, StoredTask
from cloacina.planner.explain.execution import explain_execution
from cloacina.planner.explain.facts import Facts, Owner
from cloacina.planner.explain.task import explain_task
from cloacina.planner.memory import OpenWait, TaskMemory
from cloacina.planner.queue.standing import InQueue, Standing
from cloacina.store.url import parse_location
from cloacina.store.viewer import Viewer
from cloacina_sdk.waiting import WaitKind
from engine.databases import HASTY, Where
from engine.graphs import a_task, a_workflow

DEADLINE_S = 30
FIRST = StoredTask(
    number=0,
    status="Completed",
    sub_status=None,
    attempt=1,
    failures=0,
    losses=0,
    due_at_us=None,
    started_at_us=1,
    finished_at_us=2,
    changes=None,
    reason=None,
    error_type=None,
    error_message=None,
    token=None,
)
SECOND = replace(FIRST, number=1, status="Ready", attempt=0, started_at_us=None)
STORED = StoredExecution(
    identity=Identity(
        execution_id="e",
        tenant="public",
        package="embedded",
        package_digest=None,
        workflow="w",
        workflow_version="v1",
    ),
    topology=Topology.of(a_workflow(a_task("a"), a_task("b", "a"))),
    input_texts={},
    status="Running",
    stopping=None,
    epoch=1,
    event_count=1,
    created_at_us=1,
    started_at_us=1,
    finished_at_us=None,
    error_task=None,
    error_type=None,
    error_message=None,
    tasks=(FIRST, SECOND),
)
OWNER = Owner(runner_id="r1", host="here", process_id=7)
FREE = Standing(free_slots=1, is_closing=False)
FULL = Standing(free_slots=0, is_closing=False)
IN_QUEUE = InQueue(ahead=3, preferred=0, pool="thread", has_room=True)
FACTS = Facts(
    stored=STORED,
    owner=OWNER,
    standing=FREE,
    can_serve=True,
    now_us=100,
    to_text=lambda at: f"@{at}",
)


def with_task(**changes: object) -> StoredExecution:
    return replace(STORED, tasks=(FIRST, replace(SECOND, **changes)))  # type: ignore[arg-type]  # fields by name


def waiting(
    *,
    kind: WaitKind = WaitKind.TIME,
    name: str | None = None,
    until_us: int | None = None,
    poll_us: int | None = None,
) -> StoredExecution:
    wait = OpenWait(kind=kind, name=name, since_us=1, until_us=until_us, poll_us=poll_us)
    return with_task(sub_status="Deferred", memory=TaskMemory(open=wait))


def with_queue(standing: Standing, place: InQueue) -> Standing:
    return replace(standing, queue={1: place})


PACKAGED = replace(STORED, identity=replace(STORED.identity, package_digest="d" * 64))
CASES: dict[Reason, Facts] = {
    Reason.RUNNING: replace(FACTS, stored=with_task(status="Running", attempt=2, token="t")),
    Reason.COMPLETED: replace(FACTS, stored=with_task(status="Completed")),
    Reason.FAILED: replace(
        FACTS, stored=with_task(status="Failed", error_type="E", error_message="no")
    ),
    Reason.CANCELLED: replace(FACTS, stored=with_task(status="Cancelled")),
    Reason.RULE: replace(FACTS, stored=with_task(status="Skipped", reason="its rule")),
    Reason.UPSTREAM_FAILED: replace(
        FACTS,
        stored=with_task(
            status="Skipped", sub_status="UpstreamFailed", reason="dependency 'a' failed"
        ),
    ),
    Reason.STOPPING: replace(FACTS, stored=replace(STORED, stopping="Cancel")),
    Reason.PENDING: replace(FACTS, owner=None, standing=None, stored=replace(STORED, epoch=0)),
    Reason.NO_OWNER: replace(FACTS, owner=None, standing=None, can_serve=None),
    Reason.WORKFLOW_UNKNOWN: replace(FACTS, owner=None, standing=None, can_serve=False),
    Reason.WORKFLOW_CHANGED: replace(
        FACTS, owner=None, standing=None, can_serve=False, is_known=True
    ),
    Reason.PACKAGE_MISSING: replace(
        FACTS, owner=None, standing=None, can_serve=False, stored=PACKAGED
    ),
    Reason.MISROUTED: replace(
        FACTS, owner=None, standing=None, misrouted="the routing sends it to 'loop'"
    ),
    Reason.CLAIM_DUE: replace(FACTS, owner=None, standing=None),
    Reason.OWNER_DEAD: replace(FACTS, owner=replace(OWNER, is_alive=False), standing=None),
    Reason.PAUSED: replace(FACTS, stored=replace(STORED, status="Paused")),
    Reason.DEPENDENCY: replace(
        FACTS, stored=replace(STORED, tasks=(replace(FIRST, status="Ready"), SECOND))
    ),
    Reason.RETRY_DELAY: replace(
        FACTS, stored=with_task(sub_status="Retrying", due_at_us=500, failures=1)
    ),
    Reason.TIME: replace(FACTS, stored=waiting(until_us=500)),
    Reason.EVENT: replace(FACTS, stored=waiting(kind=WaitKind.EVENT, name="approved")),
    Reason.CONDITION: replace(
        FACTS,
        stored=waiting(kind=WaitKind.CONDITION, name="stock", poll_us=10),
        conditions={"stock"},
    ),
    Reason.CONDITION_UNKNOWN: replace(
        FACTS, stored=waiting(kind=WaitKind.CONDITION, name="stock", poll_us=10)
    ),
    Reason.PARKED: replace(
        FACTS, stored=with_task(status="Running", sub_status="Deferred", attempt=2, token="t")
    ),
    Reason.PRIORITY: replace(FACTS, standing=with_queue(FULL, replace(IN_QUEUE, preferred=2))),
    Reason.SLOT: replace(FACTS, standing=with_queue(FULL, IN_QUEUE)),
    Reason.POOL: replace(FACTS, standing=with_queue(FREE, replace(IN_QUEUE, has_room=False))),
    Reason.CONCURRENCY_KEY: replace(FACTS, standing=replace(FREE, limits={1: ("key", "k")})),
    Reason.RATE: replace(FACTS, standing=replace(FREE, limits={1: ("rate", "5/s")})),
    Reason.OFFERED: replace(
        FACTS, stored=with_task(sub_status="Offered"), standing=with_queue(FULL, IN_QUEUE)
    ),
    Reason.SHUTTING_DOWN: replace(FACTS, standing=replace(FREE, is_closing=True)),
    Reason.OWNER_ELSEWHERE: replace(FACTS, standing=None),
    Reason.STARTING: FACTS,
}


def test_there_is_a_case_of_every_reason() -> None:
    assert CASES.keys() == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_words_of_its_own(reason: Reason) -> None:
    found = explain_task(CASES[reason], 1)
    assert (found.reason, found.task) == (reason, "b")
    assert "'b'" in found.sentence
    assert "\n" not in found.sentence
    others = {explain_task(facts, 1).sentence for each, facts in CASES.items() if each != reason}
    assert found.sentence not in others


def test_everything_that_does_not_run_but_may_says_what_would_change_that() -> None:
    final = {Reason.RUNNING, Reason.COMPLETED, Reason.RULE}
    for reason, facts in CASES.items():
        assert bool(explain_task(facts, 1).unblock) == (reason not in final), reason


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
def test_every_state_of_the_model_is_explained_to_every_asker(
    status: TaskStatus,
    sub_status: SubStatus | None,
    stopping: StopReason | None,
    execution: ExecutionStatus,
) -> None:
    stored = replace(with_task(status=status, sub_status=sub_status), status=execution)
    stored = replace(stored, stopping=stopping)
    for asker in CASES.values():
        facts = replace(asker, stored=stored)
        for found in (explain_task(facts, 1), explain_execution(facts)):
            assert found.sentence
            if found.reason is Reason.RUNNING:
                assert status is TaskStatus.RUNNING
            if status is TaskStatus.RUNNING and facts.owner == OWNER:
                is_parked = sub_status is SubStatus.DEFERRED
                assert (found.reason is Reason.RUNNING) != is_parked


@pytest.mark.parametrize("status", [each for each in ExecutionStatus if each.is_final])
def test_an_execution_that_has_ended_says_how(status: ExecutionStatus) -> None:
    stored = replace(STORED, status=status, error_type="E", error_message="no")
    found = explain_execution(replace(FACTS, stored=stored))
    assert (found.reason.value, found.task) == (status.value, None)


def test_a_condition_of_another_runner_is_told_without_knowing_it() -> None:
    stored = waiting(kind=WaitKind.CONDITION, name="stock", poll_us=1_000_000)
    found = explain_task(replace(FACTS, stored=stored, standing=None), 1)
    assert (found.reason, found.until) == (Reason.CONDITION, None)
    assert "which runner r1 (process 7 on here) calls every 1 s if" in found.sentence


def test_a_condition_that_nobody_registered_is_told_with_the_end_of_the_wait() -> None:
    stored = waiting(kind=WaitKind.CONDITION, name="approved", poll_us=1, until_us=500)
    found = explain_task(replace(FACTS, stored=stored, standing=FREE, conditions=()), 1)
    assert found.sentence == (
        "task 'b' waits for condition 'approved', which is not registered with its runner; it is "
        "waited for until @500"
    )


def test_a_wait_that_is_given_up_says_when() -> None:
    stored = waiting(kind=WaitKind.EVENT, name="approved", until_us=500)
    found = explain_task(replace(FACTS, stored=stored), 1)
    assert "waits for event 'approved', until @500 at the latest" in found.sentence
    assert found.until == "@500"


def test_a_parked_body_that_could_go_on_waits_for_a_slot() -> None:
    parked = CASES[Reason.PARKED]
    found = explain_task(replace(parked, standing=with_queue(FULL, IN_QUEUE)), 1)
    assert found.reason is Reason.SLOT


def test_an_execution_names_the_task_that_all_others_wait_for() -> None:
    first = replace(FIRST, status="Ready", sub_status="Retrying", due_at_us=500)
    second = replace(SECOND, status="NotStarted")
    facts = replace(FACTS, stored=replace(STORED, tasks=(first, second)))
    found = explain_execution(facts)
    assert (found.reason, found.task, found.until) == (Reason.RETRY_DELAY, "a", "@500")
    waits = explain_task(facts, 1)
    assert (waits.reason, waits.waits_for) == (Reason.DEPENDENCY, ("a",))


class Gated:
    """A workflow ``w`` of ``first``, which waits, and ``second`` after it."""

    def __init__(self) -> None:
        self.began, self.opened = threading.Event(), threading.Event()
        with WorkflowBuilder("w"):

            @task
            def first(_context: Context) -> None:
                self.began.set()
                assert self.opened.wait(DEADLINE_S)

            @task(dependencies=[first])
            def second(_context: Context) -> None: ...


def reasons(found: tuple[Explanation, ...]) -> list[tuple[Reason, str | None]]:
    return [(each.reason, each.task) for each in found]


def test_a_runner_explains_what_it_has_and_others_explain_it_too(
    runtime: Runtime, where: Where
) -> None:
    gate = Gated()
    config = DefaultRunnerConfig(max_concurrent_tasks=1)
    with ExitStack() as runners:
        owner = runners.enter_context(DefaultRunner(where.url, runtime=runtime, config=config))
        running, waiting = owner.submit("w"), owner.submit("w")
        urgent = owner.submit("w", priority=5)
        assert gate.began.wait(DEADLINE_S)
        seen = (running.explain(), running.explain("second"), waiting.explain())
        assert reasons(seen) == [
            (Reason.RUNNING, "first"),
            (Reason.DEPENDENCY, "second"),
            (Reason.PRIORITY, "first"),
        ]
        assert urgent.explain().reason is Reason.SLOT
        other = runners.enter_context(DefaultRunner(where.url, runtime=Runtime(), config=HASTY))
        # it is offered as soon as the owner sees that there is another
        offered = {Reason.OWNER_ELSEWHERE, Reason.OFFERED}
        assert other.explain(waiting.id).reason in offered
        assert other.explain(running.id, "first").reason is Reason.RUNNING
        waiting.pause()
        assert other.explain(waiting.id).reason is Reason.PAUSED
        waiting.cancel()
        assert waiting.explain("first").reason is Reason.CANCELLED
        running.pause()
        gate.opened.set()
        assert urgent.wait(DEADLINE_S).status == "Completed"
        assert other.explain(urgent.id).reason is Reason.COMPLETED
        with pytest.raises(TaskNotFoundError, match="'second'"):
            other.explain(running.id, "secnod")
        with pytest.raises(ExecutionNotFoundError):
            other.explain("nope")
    with DefaultRunner(where.url, runtime=Runtime()) as stranger:
        stranger.resume(running.id)
        assert stranger.explain(running.id).reason is Reason.WORKFLOW_UNKNOWN


def test_a_runner_that_died_is_told_from_one_that_lives(runtime: Runtime, where: Where) -> None:
    gate = Gated()
    gate.opened.set()
    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("w")
        assert handle.wait(DEADLINE_S).status == "Completed"
        where.query(
            "INSERT INTO runners (id, host, process_id, started_at) VALUES ('ghost', 'h', 1, 'x')"
        )
        where.query(
            "UPDATE workflow_executions SET status = 'Running', owner = 'ghost', finished_at = NULL"
        )
        if where.is_postgres:
            where.query("UPDATE runners SET lease_until = now() - interval '1 hour'")
        where.query("UPDATE task_executions SET status = 'Ready' WHERE task = 'second'")
        found = handle.explain("second")
    assert (found.reason, "ghost" in found.sentence) == (Reason.OWNER_DEAD, True)


@pytest.mark.parametrize("in_threads", [(), (1,)])
def test_a_running_attempt_that_is_being_cancelled_says_if_nothing_can_stop_it(
    in_threads: tuple[int, ...],
) -> None:
    stored = replace(with_task(status="Running", attempt=2, token="t"), stopping="Cancel")
    found = explain_task(replace(FACTS, stored=stored, in_threads=in_threads), 1)
    assert "attempt 2; it is being cancelled" in found.sentence
    assert ("in a thread, which nothing can stop" in found.sentence) == bool(in_threads)


def test_what_became_of_a_cancelled_attempt_is_told() -> None:
    stored = with_task(status="Cancelled", reason="it goes on")
    found = explain_task(replace(FACTS, stored=stored), 1)
    assert found.sentence == "task 'b' was cancelled: it goes on"


@pytest.mark.parametrize(
    ("throttle", "reason"),
    [
        ({"concurrency_key": "api"}, Reason.CONCURRENCY_KEY),
        ({"rate_limit": "1/d"}, Reason.RATE),
    ],
)
def test_a_limit_that_holds_a_task_up_is_told_from_elsewhere(
    runtime: Runtime, where: Where, throttle: dict[str, str], reason: Reason
) -> None:
    began, may_end = threading.Event(), threading.Event()
    with WorkflowBuilder("w"):

        @task(**throttle)  # type: ignore[call-overload, untyped-decorator]  # as it takes them
        def first(_context: Context) -> None:
            began.set()
            assert may_end.wait(DEADLINE_S)

    with (
        DefaultRunner(where.url, runtime=runtime) as owner,
        DefaultRunner(where.url, runtime=Runtime()) as other,
    ):
        handles = owner.submit("w"), owner.submit("w")
        assert began.wait(DEADLINE_S)
        waits = min(handles, key=lambda each: other.explain(each.id).reason is Reason.RUNNING)
        found = other.explain(waits.id)
        assert (found.reason, found.task) == (reason, "first")
        assert found.sentence == owner.explain(waits.id).sentence
        with Viewer(parse_location(where.url)) as viewer:
            seen = viewer.used_up(viewer.find(waits.id), time.time_ns() // 1000)
        assert seen.keys() == {0}
        waits.cancel()
        may_end.set()
