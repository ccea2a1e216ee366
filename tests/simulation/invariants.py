"""What must hold of every single change that a transaction makes to one execution's rows.

Nothing here asks the planner or the store: a difference between two snapshots is judged by the
rows alone, and by what the bodies that really ran reported.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloacina.model.topology import Topology
from cloacina.store.timestamps import from_text
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.throttle import Throttle
from cloacina_sdk.waiting import Wait
from simulation import offers
from simulation.bodies import Body
from simulation.log import require
from simulation.snapshot import (
    FINAL,
    AttemptRow,
    EventRow,
    Snapshot,
    TaskRow,
    holds_key,
    spec_of,
)

_EVENT_OF_END = {
    "Completed": "task_completed",
    "Failed": "task_failed",
    "Skipped": "task_skipped",
    "Cancelled": "task_cancelled",
}
_OUTCOMES = {"Succeeded": Changes, "Failed": TaskFailure, "Deferred": Wait}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transaction's effect on one execution, and who claims the right to it."""

    before: Snapshot | None
    after: Snapshot
    topology: Topology
    writer: str
    epoch: int | None
    """The epoch in which a runner wrote; ``None`` for a claim or release."""
    is_seized: bool = False
    """It was changed by somebody who never was its owner, as it had none."""
    again: frozenset[int] | None = None
    """If somebody asked for a retry: the tasks that it is about."""


def check(change: Change, bodies: Mapping[str, Body], tokens: set[str]) -> None:
    """Judge one change. ``tokens`` holds those of all attempts before; new ones are added."""
    before, after = change.before, change.after
    require([e.seq for e in after.events] == list(range(1, len(after.events) + 1)), "a gap in seq")
    if change.epoch is None:
        _check_claim(change)
        return
    _check_right(change)
    fresh = after.events[len(before.events) if before else 0 :]
    if before is not None:
        require(after.events[: len(before.events)] == before.events, "history was rewritten")
    known_tasks = {task.number: task for task in before.tasks} if before else {}
    known_attempts = {(a.task_number, a.number): a for a in before.attempts} if before else {}
    kinds = Counter((event.task_number, event.kind) for event in fresh)
    for task in after.tasks:
        _check_task(change, known_tasks.get(task.number), task, kinds)
    for attempt in after.attempts:
        known = known_attempts.get((attempt.task_number, attempt.number))
        if known is None:
            _check_start(change, known_tasks.get(attempt.task_number), attempt, tokens)
            kinds[attempt.task_number, "task_started"] -= 1
        if attempt.outcome is not None and (known is None or known.outcome is None):
            _check_end(change, attempt, bodies.get(attempt.token))
        if known is not None and known != attempt:
            require(known.outcome is None, f"the end of {attempt} was rewritten")
            require(known[:6] == attempt[:6], f"the start of {attempt} was rewritten")
            require(known[11:] == attempt[11:], f"what {attempt} holds was rewritten")
    require(not any(n for (_, kind), n in kinds.items() if kind == "task_started"), "odd starts")
    offers.check_owner(before, after, change.writer)
    _check_numbers(after)
    for task in after.tasks:
        if task.elements is not None:
            _check_elements(change, task)
    _check_final(change, fresh)


def check_key(new: Snapshot, others: Iterable[Snapshot]) -> None:
    """An idempotency key belongs to at most one execution of a workflow."""
    row = new.execution
    taken = {(each.execution.workflow, each.execution.idempotency_key) for each in others}
    is_free = row.idempotency_key is None or (row.workflow, row.idempotency_key) not in taken
    require(is_free, f"{row.id} has the key of another execution")


def to_run_again(before: Snapshot, topology: Topology, *, from_failed: bool) -> frozenset[int]:
    """Return the tasks that a retry resets: what failed, and all that depends on it."""
    own = [t for t in before.tasks if t.parent is None]
    found = {t.number for t in own if t.status in {"Failed", "Cancelled"}}
    if not from_failed:
        return frozenset(range(len(own)))
    left = list(found)
    while left:
        new = set(topology.dependents[left.pop()]) - found
        found |= new
        left += new
    return frozenset(found)


def _check_claim(change: Change) -> None:
    before, after = change.before, change.after
    require(before is not None, "an execution appeared without a commit")
    assert before is not None
    given_back = tuple(
        row._replace(concurrency_slot=now.concurrency_slot) if now.concurrency_slot is None else row
        for row, now in zip(before.attempts, after.attempts, strict=True)
    )
    expected = before._replace(execution=after.execution, attempts=given_back)
    require(expected == after, "a claim or release changed more than the owner")
    was, now = before.execution, after.execution
    require(was.status not in FINAL, f"{was.id} changed hands after its end")
    require(was._replace(owner=now.owner, epoch=now.epoch) == now, "a claim changed the execution")
    if now.owner is None:
        require(now.epoch == was.epoch, "a release changed the epoch")
    else:
        require(now.owner == change.writer, f"{now.owner} was made owner by {change.writer}")
        require(now.epoch > was.epoch, "a claim did not raise the epoch")


def _check_right(change: Change) -> None:
    before, after = change.before, change.after.execution
    if change.is_seized:
        assert before is not None
        fitting = (
            {"Running", "Paused", "Pending"} if change.again is None else {"Failed", "Cancelled"}
        )
        require(before.execution.status in fitting, f"{after.id} changed after its end")
        require(after.owner is None, f"{after.id} was kept")
        require(after.epoch > before.execution.epoch, "a change did not raise the epoch")
        return
    require(after.owner == change.writer, f"{change.writer} wrote what {after.owner} owns")
    require(after.epoch == change.epoch, f"a write of epoch {change.epoch} in {after.epoch}")
    if before is not None:
        right = before.execution.owner, before.execution.epoch
        require(right == (change.writer, change.epoch), f"a stale write took effect: {right}")
        require(before.execution.status not in FINAL, f"{after.id} changed after its end")


def _check_task(
    change: Change, was: TaskRow | None, now: TaskRow, kinds: Counter[tuple[int | None, str]]
) -> None:
    if change.again is not None and now.number in change.again:
        assert was is not None
        require(kinds[now.number, "task_reset"] == 1, f"no event of the reset of {now.task}")
        is_fresh = (now.failures, now.losses, now.changes, now.error_type) == (0, 0, None, None)
        require(is_fresh and now.attempt == was.attempt, f"{now.task} was reset to {now}")
        require(now.status in {"NotStarted", "Ready", "Skipped"}, f"{now.task} was reset to {now}")
    elif was is not None and was.status in FINAL:
        require(was == now, f"{now.task} changed after its end")
        return
    if now.status in FINAL:
        require(kinds[now.number, _EVENT_OF_END[now.status]] == 1, f"no event of {now}")
    elif was is None or was.status != now.status or was.attempt != now.attempt:
        said = [kind for (number, kind), count in kinds.items() if number == now.number and count]
        require(said or now.status == "NotStarted", f"no event of {now}")
    if was is not None and was.elements is not None:
        extent = was.elements, was.first_element
        require(extent == (now.elements, now.first_element), f"{now.task} was expanded again")
    if now.status == "Cancelled":
        require(change.after.execution.stopping is not None, f"{now.task}: nobody wanted that")
        return
    if now.parent is not None:
        require(now.status != "NotStarted", f"{now} was stored before it moved")
        return
    before = [change.after.tasks[d] for d in change.topology.dependencies[now.number]]
    is_decidable = all(task.status in FINAL for task in before)
    if now.status == "NotStarted":
        require(not is_decidable, f"{now.task} could be decided and was not")
    else:
        require(is_decidable, f"{now.task} went to {now.status} before its dependencies ended")


def check_limits(snapshots: Iterable[Snapshot], topologies: Mapping[str, Topology]) -> None:
    """No key is held more often than it may be, and no window of a rate sees more starts."""
    held: set[tuple[str | None, int | None]] = set()
    used: set[tuple[str | None, int | None]] = set()
    for snapshot in snapshots:
        topology = topologies[snapshot.execution.workflow]
        for attempt in snapshot.attempts:
            if attempt.concurrency_key is None and attempt.rate_key is None:
                continue
            throttle = spec_of(topology, snapshot.task(attempt.task_number)).throttle
            require(throttle is not None, f"{attempt} is not limited")
            assert throttle is not None
            if holds_key(attempt):
                slot = attempt.concurrency_key, attempt.concurrency_slot
                require(slot not in held, f"two attempts hold the key {slot}")
                held.add(slot)
                is_within = (attempt.concurrency_slot or 0) < throttle.max_concurrent
                require(is_within, f"{attempt} holds the key beyond its limit")
            if attempt.rate_key is not None:
                _check_rate(attempt, throttle, used)


def _check_rate(
    attempt: AttemptRow, throttle: Throttle, used: set[tuple[str | None, int | None]]
) -> None:
    start = attempt.rate_key, attempt.rate_slot
    require(start not in used, f"two attempts started as {start}")
    used.add(start)
    assert throttle.rate is not None
    window = from_text(attempt.started_at) // throttle.rate.window_us
    is_now = (attempt.rate_slot or 0) // throttle.rate.count == window
    require(is_now, f"{attempt} started in another window")


def _check_start(
    change: Change, was: TaskRow | None, attempt: AttemptRow, tokens: set[str]
) -> None:
    if not offers.is_claimed(change.before, attempt):
        require(attempt.token not in tokens, f"the token of {attempt} was used before")
        tokens.add(attempt.token)
        require(attempt.runner == change.writer, f"{attempt} was started by {change.writer}")
    require(was is None or was.status not in FINAL, f"{attempt} starts a task that had ended")


def _check_end(change: Change, attempt: AttemptRow, body: Body | None) -> None:
    task = change.after.task(attempt.task_number)
    if attempt.outcome == "RunnerLost":
        return
    if attempt.outcome == "Cancelled":
        require(change.after.execution.stopping is not None, f"{attempt}: nobody wanted that")
        return
    if attempt.error_type == "TaskTimeout":
        limit = spec_of(change.topology, task).timeout_ms
        require(limit is not None, f"{attempt} has no limit")
        return
    require(body is not None and body.is_reported, f"{attempt} ended, but its body did not")
    assert body is not None
    kind = _OUTCOMES.get(str(attempt.outcome))
    require(
        kind is not None and isinstance(body.result, kind), f"{attempt} is not what it reported"
    )
    if isinstance(body.result, Changes):
        require(task.status == "Completed", f"{attempt} succeeded, but its task is {task.status}")
        require(task.changes == body.result.to_json(), f"{attempt} stored another output")
    elif isinstance(body.result, TaskFailure):
        require(attempt.error_message == body.result.message, f"{attempt} stored another failure")


def _check_numbers(after: Snapshot) -> None:
    """Attempts are counted without gaps; only the last one runs, exactly while its task does."""
    numbers: dict[int, list[AttemptRow]] = {}
    for attempt in after.attempts:
        numbers.setdefault(attempt.task_number, []).append(attempt)
    for task in after.tasks:
        attempts = numbers.get(task.number, [])
        found = [attempt.number for attempt in attempts]
        require(found == list(range(1, task.attempt + 1)), f"{task.task} has attempts {found}")
        running = [attempt.number for attempt in attempts if attempt.outcome is None]
        is_attempted = task.status == "Running" and task.elements is None
        expected = [task.attempt] if is_attempted else []
        require(running == expected, f"{task.task} is {task.status}, attempts {running} run")


def _check_elements(change: Change, task: TaskRow) -> None:
    """Elements move in order; their task ends with the last of them, and not before."""
    after = change.after
    elements = after.elements(task)
    assert task.elements is not None
    assert task.first_element is not None
    places = [(row.number, row.item) for row in elements]
    expected = [(task.first_element + item, item) for item in range(len(elements))]
    require(places == expected, f"the elements of {task.task} are {places}")
    require(len(elements) <= task.elements, f"{task.task} has more elements than it should")
    is_over = all(row.status in FINAL for row in elements)
    has_all = len(elements) == task.elements or after.execution.stopping is not None
    is_ended = task.status in FINAL
    require(is_ended == (is_over and has_all), f"{task.task} is {task.status}, its elements not")
    mapped = change.topology.tasks[task.number].mapped
    running = sum(row.status == "Running" for row in elements)
    limit = mapped.max_parallel if mapped else None
    require(limit is None or running <= limit, f"{running} elements of {task.task} run at once")


def _check_final(change: Change, fresh: Sequence[EventRow]) -> None:
    after = change.after
    is_over = all(task.status in FINAL for task in after.tasks)
    status = after.execution.status
    require((status in FINAL) == is_over, f"{after.execution.id} is {status}, its tasks disagree")
    ends = [event.kind for event in fresh if event.kind.removeprefix("execution_").title() in FINAL]
    expected = [f"execution_{status.lower()}"] if status in FINAL else []
    require([kind for kind in ends if kind.startswith("execution_")] == expected, "no final event")
