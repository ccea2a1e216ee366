"""Say why a task or an execution is not running, from what is stored and what its runner knows.

Pure: whoever asks collects the facts. The first obstacle that is found is told, from what holds up
a whole execution to what holds up one task of it.
"""

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import ExecutionStatus, StopReason, SubStatus, TaskStatus
from cloacina.planner.events import StoredTask
from cloacina.planner.explain_waits import explain_parked, explain_wait
from cloacina.planner.facts import Facts
from cloacina.planner.standing import InQueue, Standing


def explain_task(facts: Facts, number: int) -> Explanation:
    """Say why a task is not running."""
    task = facts.stored.tasks[number]
    return _ended(facts, task) or _held_up(facts, task) or _waiting(facts, task)


def explain_execution(facts: Facts) -> Explanation:
    """Say why an execution is not running."""
    status = ExecutionStatus(facts.stored.status)
    if status.is_final:
        error = facts.stored.error_type
        because = f": {error}: {facts.stored.error_message}" if error else ""
        hint = "" if status is ExecutionStatus.COMPLETED else "retry it to run it again"
        sentence = f"the execution is {status.value}{because}"
        return Explanation(reason=Reason(status.value), sentence=sentence, unblock=hint)
    tasks = facts.stored.tasks[: len(facts.stored.topology)]  # the others are elements
    left = [task for task in tasks if not TaskStatus(task.status).is_final]
    if not left:
        return _execution_held_up(facts) or _nothing_left(facts)
    found = [explain_task(facts, task.number) for task in left]
    # what all the others wait for, directly or not, comes first
    return min(found, key=lambda each: _WEIGHT.get(each.reason, 1))


_WEIGHT = {Reason.RUNNING: 0, Reason.DEPENDENCY: 2}


def _ended(facts: Facts, task: StoredTask) -> Explanation | None:
    name = facts.name(task.number)
    match TaskStatus(task.status):
        case TaskStatus.COMPLETED:
            reason, sentence, hint = Reason.COMPLETED, f"task {name!r} completed", ""
        case TaskStatus.FAILED:
            reason, hint = Reason.FAILED, "retry the execution to run it again"
            sentence = f"task {name!r} failed: {task.error_type}: {task.error_message}"
        case TaskStatus.CANCELLED:
            reason, hint = Reason.CANCELLED, "retry the execution to run it again"
            sentence = f"task {name!r} was cancelled"
        case TaskStatus.SKIPPED:
            is_tainted = task.sub_status == SubStatus.UPSTREAM_FAILED
            reason = Reason.UPSTREAM_FAILED if is_tainted else Reason.RULE
            hint = "retry the execution to run both again" if is_tainted else ""
            sentence = f"task {name!r} was skipped: {task.reason}"
        case TaskStatus.RUNNING:
            return _running(facts, task)
        case _:
            return None
    return Explanation(reason=reason, sentence=sentence, unblock=hint, task=name)


def _running(facts: Facts, task: StoredTask) -> Explanation | None:
    owner = facts.owner
    if owner is None or not owner.is_alive:
        return None  # its attempt is recorded as running, and nobody runs it
    name = facts.name(task.number)
    if task.sub_status == SubStatus.DEFERRED:
        return _back_in_queue(facts, task) or explain_parked(facts, task)
    how = f"attempt {task.attempt}" if task.elements is None else _elements(facts, task)
    sentence = f"task {name!r} is running, {how}; {owner} plans its execution"
    return Explanation(reason=Reason.RUNNING, sentence=sentence, task=name)


def _elements(facts: Facts, task: StoredTask) -> str:
    """Say how far the elements of a mapped task are, those without rows having not begun."""
    mine = [TaskStatus(each.status) for each in facts.stored.tasks if each.parent == task.number]
    running, ended = mine.count(TaskStatus.RUNNING), sum(each.is_final for each in mine)
    return f"{running} of its {task.elements} elements now, and {ended} have ended"


def _held_up(facts: Facts, task: StoredTask) -> Explanation | None:
    """What holds up the whole execution."""
    name = facts.name(task.number)
    if facts.stored.stopping is not None:
        why = {
            StopReason.CANCEL: "is being cancelled",
            StopReason.TIMEOUT: "took longer than its workflow allows",
            StopReason.FAIL_FAST: "is ending early, as a task failed",
        }[StopReason(facts.stored.stopping)]
        sentence = f"task {name!r} will not start: the execution {why}"
        hint = "retry the execution once it has ended"
        return Explanation(reason=Reason.STOPPING, sentence=sentence, unblock=hint, task=name)
    found = _execution_held_up(facts)
    if found is None:
        return None
    return Explanation(
        reason=found.reason,
        sentence=f"task {name!r} does not run: {found.sentence}",
        unblock=found.unblock,
        task=name,
    )


def _execution_held_up(facts: Facts) -> Explanation | None:
    owner = facts.owner
    if facts.stored.status == ExecutionStatus.PAUSED:
        sentence, hint = "the execution is paused", "resume it"
        return Explanation(reason=Reason.PAUSED, sentence=sentence, unblock=hint)
    if owner is None:
        return _unowned(facts)
    if not owner.is_alive:
        return Explanation(
            reason=Reason.OWNER_DEAD,
            sentence=f"{owner} had the execution and died",
            unblock="the next runner that looks around, and knows the workflow, goes on with it",
        )
    return None


def _unowned(facts: Facts) -> Explanation:
    identity = facts.stored.identity
    workflow = f"{identity.package}::{identity.workflow}"
    is_new = facts.stored.epoch == 0
    if facts.can_serve is None:
        reason = Reason.PENDING if is_new else Reason.NO_OWNER
        sentence = "no runner has " + ("taken the execution yet" if is_new else "the execution")
        hint = f"start a runner that knows workflow {workflow!r}"
        if identity.package_digest is not None:
            hint += f" and loads package {identity.package_digest}"
    elif facts.can_serve and facts.misrouted:
        reason = Reason.MISROUTED
        sentence = f"no runner has the execution, and here {facts.misrouted}"
        hint = "start a runner whose routing fits, or change that of this one"
    elif facts.can_serve:
        reason = Reason.PENDING if is_new else Reason.CLAIM_DUE
        sentence = "no runner has taken the execution " + ("yet" if is_new else "over yet")
        hint = "this runner takes it the next time it looks around, which is about to happen"
    elif identity.package_digest is not None:
        reason = Reason.PACKAGE_MISSING
        sentence = (
            "no runner has the execution, and the package that it is pinned to "
            f"({identity.package_digest}) is not loaded here"
        )
        hint = "load that very package in a runner on this database"
    elif facts.is_known:
        reason = Reason.WORKFLOW_CHANGED
        sentence = (
            f"no runner has the execution, and workflow {workflow!r}, as it is registered here, "
            "lacks tasks that the execution was planned with"
        )
        hint = f"register version {identity.workflow_version} as well, or migrate the execution"
    else:
        reason = Reason.WORKFLOW_UNKNOWN
        sentence = f"no runner has the execution, and workflow {workflow!r} is not registered here"
        hint = "register the workflow in a runner on this database"
    return Explanation(reason=reason, sentence=sentence, unblock=hint)


def _waiting(facts: Facts, task: StoredTask) -> Explanation:
    """What holds up one task of an execution that goes on."""
    name = facts.name(task.number)
    before = [
        facts.name(number)
        for number in facts.stored.topology.dependencies[task.number]
        if not TaskStatus(facts.stored.tasks[number].status).is_final
    ]
    if before:
        return Explanation(
            reason=Reason.DEPENDENCY,
            sentence=f"task {name!r} waits for {_listed(before)}, which it depends on",
            unblock="it is decided when those have ended",
            task=name,
            waits_for=tuple(before),
        )
    if task.memory.open is not None:
        return explain_wait(facts, task, task.memory.open)
    if task.due_at_us is not None and task.due_at_us > facts.now_us:
        until = facts.to_text(task.due_at_us)
        return Explanation(
            reason=Reason.RETRY_DELAY,
            sentence=(
                f"task {name!r} failed {_times(task.failures)} and is tried again at {until}, after "
                "the delay of its retry policy"
            ),
            unblock="wait until then",
            task=name,
            until=until,
        )
    return _ready(facts, task)


def _ready(facts: Facts, task: StoredTask) -> Explanation:
    name, standing = facts.name(task.number), facts.standing
    if task.sub_status == SubStatus.OFFERED:
        return Explanation(
            reason=Reason.OFFERED,
            sentence=(
                f"task {name!r} is ready and on offer to all runners, as {facts.owner} has no free "
                "slot for it"
            ),
            unblock="it starts on whichever runner that knows it has a free slot first",
            task=name,
        )
    if standing is None:
        return Explanation(
            reason=Reason.OWNER_ELSEWHERE,
            sentence=f"task {name!r} is ready and waits for a free slot of {facts.owner}",
            unblock="it starts when that runner has one; ask there for more",
            task=name,
        )
    if standing.is_closing:
        return Explanation(
            reason=Reason.SHUTTING_DOWN,
            sentence=f"task {name!r} is ready, but its runner is being shut down",
            unblock="the next runner goes on with it",
            task=name,
        )
    limit = standing.limits.get(task.number)
    if limit is not None:
        return _limited(name, *limit)
    place = standing.queue.get(task.number)
    if place is not None:
        found = _in_queue(name, standing, place)
        if found is not None:
            return found
    return Explanation(
        reason=Reason.STARTING,
        sentence=f"task {name!r} is ready and about to start",
        unblock="nothing stands in its way",
        task=name,
    )


def _limited(name: str, kind: str, limit: str) -> Explanation:
    if kind == "key":
        return Explanation(
            reason=Reason.CONCURRENCY_KEY,
            sentence=f"task {name!r} is ready, but all slots of concurrency key {limit!r} are taken",
            unblock="it starts when an attempt that holds a slot of that key ends, here or elsewhere",
            task=name,
        )
    return Explanation(
        reason=Reason.RATE,
        sentence=f"task {name!r} is ready, but as many have started as rate limit {limit!r} allows",
        unblock="it starts when the next window of that rate begins",
        task=name,
    )


def _back_in_queue(facts: Facts, task: StoredTask) -> Explanation | None:
    """What a body waits for that was parked, and could go on."""
    standing = facts.standing
    place = None if standing is None else standing.queue.get(task.number)
    if standing is None or place is None:
        return None
    return _in_queue(facts.name(task.number), standing, place)


def _in_queue(name: str, standing: Standing, place: InQueue) -> Explanation | None:
    if not place.has_room and standing.free_slots:
        return Explanation(
            reason=Reason.POOL,
            sentence=f"task {name!r} is ready, but executor {place.pool!r} runs all it can",
            unblock="it starts when one of the attempts there ends",
            task=name,
        )
    if standing.free_slots:
        return None
    if place.preferred:
        return Explanation(
            reason=Reason.PRIORITY,
            sentence=(
                f"task {name!r} is ready, all slots are taken, and {place.preferred} tasks of "
                "executions of higher priority come first"
            ),
            unblock="raise its priority, or wait until those have started",
            task=name,
        )
    return Explanation(
        reason=Reason.SLOT,
        sentence=(
            f"task {name!r} is ready, but all slots of its runner are taken, and {place.ahead} "
            "tasks come before it"
        ),
        unblock="it starts when attempts end; max_concurrent_tasks, or another runner, adds slots",
        task=name,
    )


def _nothing_left(facts: Facts) -> Explanation:
    sentence = "every task has ended, and the execution is about to"
    return Explanation(reason=Reason.STARTING, sentence=sentence, unblock=str(facts.owner or ""))


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
