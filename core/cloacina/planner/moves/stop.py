"""End an execution before its tasks have run: because somebody asks, its time is over, or it fails."""

from cloacina.model.rules import failures_named
from cloacina.model.states import StopReason, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion
from cloacina.planner.moves import finish
from cloacina.planner.task import TaskState


def stop(execution: ExecutionState, reason: StopReason, at_us: int) -> list[TaskState]:
    """Cancel what did not start; return the tasks whose attempts still have to end."""
    execution.stopping = reason
    execution.record("execution_stopping", at_us, detail=reason)
    running: list[TaskState] = []
    for task in execution.tasks:
        if task.token is not None:
            running.append(task)
        elif not task.status.is_final and task.number not in execution.expansions:
            finish.cancel(execution, task, at_us)
    for expansion in execution.expansions.values():
        if not expansion.parent.status.is_final:
            running += _stop_elements(execution, expansion, at_us)
    return running


def _stop_elements(execution: ExecutionState, expansion: Expansion, at_us: int) -> list[TaskState]:
    expansion.is_closed = True
    running: list[TaskState] = []
    for element in list(expansion.open.values()):
        if element.status is TaskStatus.RUNNING:
            running.append(element)
        else:
            finish.cancel(execution, element, at_us)
    if not expansion.parent.status.is_final:  # cancelling its last element ends it
        finish.finish_if_over(execution, expansion, at_us)
    return running


def calls_for_stop(execution: ExecutionState, task: TaskState) -> bool:
    """Whether a task's failure ends the execution at once: nobody is there to handle it."""
    if not execution.topology.workflow.fail_fast or execution.stopping is not None:
        return False
    expansion = execution.expansion_of(task)
    has_failed = task.status is TaskStatus.FAILED or (expansion is not None and expansion.failed)
    if not has_failed:
        return False
    number = task.number if task.parent is None else task.parent
    spec = execution.topology.tasks[number]
    return not spec.allow_failure and not any(
        spec.id in failures_named(execution.topology.tasks[dependent].trigger_rule)
        for dependent in execution.topology.dependents[number]
    )
