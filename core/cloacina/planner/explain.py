"""Say why a task or an execution is not running, from what is stored and what its runner knows.

Pure: whoever asks collects the facts. The first obstacle that is found is told, from what holds up
a whole execution to what holds up one task of it.
"""

from dataclasses import replace

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import ExecutionStatus, StopReason, SubStatus, TaskStatus
from cloacina.planner.events import StoredTask
from cloacina.planner.explain_ready import explain_ready, explain_unparked
from cloacina.planner.explain_waits import explain_parked, explain_wait
from cloacina.planner.facts import Facts


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
            sentence = f"task {name!r} was cancelled" + (f": {task.reason}" if task.reason else "")
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
    if task.elements is not None:
        running = sum(_is_running(each) for each in facts.elements(task))
        if not running:
            return None
        what = f"{running:,} of its {_elements(facts, task)}"
    elif task.sub_status == SubStatus.DEFERRED:
        return explain_unparked(facts, task) or explain_parked(facts, task)
    else:
        what = f"attempt {task.attempt}"
    end = (
        f"; {owner} plans its execution" if facts.stored.stopping is None else _ending(facts, task)
    )
    sentence = f"task {name!r} is running, {what}{end}"
    return Explanation(reason=Reason.RUNNING, sentence=sentence, task=name)


def _ending(facts: Facts, task: StoredTask) -> str:
    """What becomes of a running attempt of an execution that is being stopped."""
    if task.number not in facts.in_threads:
        return "; it is being cancelled"
    return "; it is being cancelled; its attempt runs in a thread, which nothing can stop"


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
    """What holds up one task, or one element, of an execution that goes on."""
    if task.elements is not None:
        return _mapped(facts, task)
    name = facts.name(task.number)
    dependencies = facts.stored.topology.dependencies
    before = [
        facts.name(number)
        for number in (dependencies[task.number] if task.parent is None else ())
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
    return explain_ready(facts, task)


def _mapped(facts: Facts, task: StoredTask) -> Explanation:
    """What holds up a mapped task of which no element runs: what its first one waits for."""
    name = facts.name(task.number)
    left = [each for each in facts.elements(task) if not TaskStatus(each.status).is_final]
    if left:
        found = _ended(facts, left[0]) or _waiting(facts, left[0])
    else:  # those that did not move have no rows
        found = explain_ready(facts, task)
    sentence = f"no element of task {name!r} is running, of {_elements(facts, task)}; "
    return replace(found, sentence=sentence + found.sentence, task=name)


def _is_running(element: StoredTask) -> bool:
    return element.status == TaskStatus.RUNNING and element.sub_status != SubStatus.DEFERRED


def _elements(facts: Facts, task: StoredTask) -> str:
    done = sum(TaskStatus(each.status).is_final for each in facts.elements(task))
    count = task.elements or 0
    return f"{count:,} element{'' if count == 1 else 's'}, {done:,} of which are done"


def _nothing_left(facts: Facts) -> Explanation:
    sentence = "every task has ended, and the execution is about to"
    return Explanation(reason=Reason.STARTING, sentence=sentence, unblock=str(facts.owner or ""))


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
