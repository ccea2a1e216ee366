"""Say why a task is not running."""

from dataclasses import replace

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import StopReason, SubStatus, TaskStatus
from cloacina.planner.events import StoredTask
from cloacina.planner.explain.facts import Facts
from cloacina.planner.explain.obstacle import obstacle_of
from cloacina.planner.explain.queue import explain_ready, explain_unparked
from cloacina.planner.explain.waits import explain_parked, explain_wait


def explain_task(facts: Facts, number: int) -> Explanation:
    """Say why a task is not running."""
    task = facts.stored.tasks[number]
    return _ended(facts, task) or _held_up(facts, task) or _waiting(facts, task)


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
    found = obstacle_of(facts)
    if found is None:
        return None
    return Explanation(
        reason=found.reason,
        sentence=f"task {name!r} does not run: {found.sentence}",
        unblock=found.unblock,
        task=name,
    )


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


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
