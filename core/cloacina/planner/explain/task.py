"""Say why a task is not running."""

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import StopReason, SubStatus, TaskStatus
from cloacina.planner.events import StoredTask
from cloacina.planner.explain.facts import Facts
from cloacina.planner.explain.obstacle import obstacle_of
from cloacina.planner.explain.queue import explain_ready, explain_return
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
        return explain_return(facts, task) or explain_parked(facts, task)
    sentence = f"task {name!r} is running, attempt {task.attempt}; {owner} plans its execution"
    return Explanation(reason=Reason.RUNNING, sentence=sentence, task=name)


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
    return explain_ready(facts, task)


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
