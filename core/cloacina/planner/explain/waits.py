"""Say what a task waits for that ended its run to wait, or waits where it is."""

from cloacina.model.explanation import Explanation, Reason
from cloacina.planner.events import StoredTask
from cloacina.planner.explain.facts import Facts
from cloacina.planner.memory import OpenWait
from cloacina_sdk.waiting import WaitKind


def explain_wait(facts: Facts, task: StoredTask, wait: OpenWait) -> Explanation:
    """Say what has to happen before the next run of a task's body."""
    name = facts.name(task.number)
    until = None if wait.until_us is None else facts.to_text(wait.until_us)
    limit = "" if until is None else f", until {until} at the latest"
    match wait.kind:
        case WaitKind.TIME:
            reason, hint = Reason.TIME, "wait until then"
            sentence = f"task {name!r} waits until {until}, as it asked to"
        case WaitKind.EVENT:
            reason = Reason.EVENT
            sentence = f"task {name!r} waits for event {wait.name!r}{limit}"
            hint = "send the event to its execution"
        case WaitKind.CONDITION:
            return _condition(facts, name, wait, until, limit)
    return Explanation(reason=reason, sentence=sentence, unblock=hint, task=name, until=until)


def explain_parked(facts: Facts, task: StoredTask) -> Explanation:
    """Say that a body waits where it is, for something that only it can call."""
    name = facts.name(task.number)
    return Explanation(
        reason=Reason.PARKED,
        sentence=(
            f"task {name!r} has begun, attempt {task.attempt}, and waits without a slot until what "
            "it polls is true"
        ),
        unblock="it goes on when that is so and a slot is free",
        task=name,
    )


def _condition(
    facts: Facts, name: str, wait: OpenWait, until: str | None, limit: str
) -> Explanation:
    is_ours = facts.standing is not None
    if is_ours and wait.name not in facts.conditions:
        return Explanation(
            reason=Reason.CONDITION_UNKNOWN,
            sentence=(
                f"task {name!r} waits for condition {wait.name!r}, which is not registered with its "
                "runner" + ("" if until is None else f"; it is waited for until {until}")
            ),
            unblock=f"runner.register_condition({wait.name!r}, ...) in that runner",
            task=name,
            until=until,
        )
    seconds = (wait.poll_us or 0) / 1_000_000
    where = "its runner" if is_ours else str(facts.owner)
    return Explanation(
        reason=Reason.CONDITION,
        sentence=(
            f"task {name!r} waits for condition {wait.name!r}{limit}, which {where} calls every "
            f"{seconds:g} s" + ("" if is_ours else " if it is registered there")
        ),
        unblock="it goes on when that returns something true",
        task=name,
        until=until,
    )
