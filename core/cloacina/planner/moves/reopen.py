"""Run an execution that failed or was cancelled again: the moves that only a person can ask for.

What is kept as it is passes on the same outputs as before. A task that is run again keeps the
number of its last attempt, so that its history goes on; its failures are counted anew.
"""

from cloacina.errors import ExecutionNotRetryableError
from cloacina.model.states import EXECUTION_RETRY_MOVES, TaskStatus
from cloacina.planner.events import StoredExecution
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import conclude, decide
from cloacina.planner.restore import restored

_TO_RUN_AGAIN = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})


def reopened(stored: StoredExecution, at_us: int, *, from_failed: bool) -> ExecutionState:
    """Return a stored execution as it is to be stored so that it runs again.

    Args:
        stored: an execution that failed or was cancelled.
        at_us: the time by the wall clock.
        from_failed: run only what failed or was cancelled, and what depends on that; else all.

    Raises:
        ExecutionNotRetryableError: if it did neither fail nor was cancelled.
    """
    execution = restored(stored)
    if execution.status not in EXECUTION_RETRY_MOVES:
        raise ExecutionNotRetryableError(execution.id, execution.status)
    numbers = _from_failed(execution) if from_failed else list(range(len(execution.tasks)))
    what = "what failed and what depends on it" if from_failed else "everything"
    begun = [execution.topology.tasks[n].id for n in numbers if n in execution.expansions]
    if begun:
        raise ExecutionNotRetryableError(execution.id, execution.status, mapped=begun)
    execution.reopen(at_us)
    execution.record("execution_retried", at_us, detail=f"{what}: {len(numbers)} tasks")
    for number in numbers:
        execution.reset(number)
        execution.record("task_reset", at_us, number)
    for task in decide.reconsider(execution, numbers, at_us):
        decide.hold(execution, task, at_us)
    if not execution.unfinished:  # nothing had failed, or a rule forbids all that is left
        conclude.conclude(execution, at_us)
    return execution


def _from_failed(execution: ExecutionState) -> list[int]:
    """Return the tasks that failed or were cancelled and all that depend on them, by number."""
    causes = sum(1 << task.number for task in execution.tasks if task.status in _TO_RUN_AGAIN)
    ancestors = execution.topology.ancestors
    return [
        task.number
        for task in execution.tasks
        if causes >> task.number & 1 or ancestors[task.number] & causes
    ]
