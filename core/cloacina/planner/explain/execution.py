"""Say why an execution is not running."""

from typing import Final

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import ExecutionStatus, TaskStatus
from cloacina.planner.explain.facts import Facts
from cloacina.planner.explain.obstacle import obstacle_of
from cloacina.planner.explain.task import explain_task

_WEIGHT: Final = {Reason.RUNNING: 0, Reason.DEPENDENCY: 2}


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
        return obstacle_of(facts) or _nothing_left(facts)
    found = [explain_task(facts, task.number) for task in left]
    # what all the others wait for, directly or not, comes first
    return min(found, key=lambda each: _WEIGHT.get(each.reason, 1))


def _nothing_left(facts: Facts) -> Explanation:
    sentence = "every task has ended, and the execution is about to"
    return Explanation(reason=Reason.STARTING, sentence=sentence, unblock=str(facts.owner or ""))
