"""Give an execution its final status."""

from cloacina.model.context import texts_of
from cloacina.model.context_size import excess_of
from cloacina.model.rules import failures_named
from cloacina.model.states import ExecutionStatus, StopReason, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState


def conclude(execution: ExecutionState, at_us: int, max_context_bytes: int = 0) -> None:
    """Give the execution its final status once no task is left.

    One whose leaves leave more together than ``max_context_bytes`` (0: no limit) has failed.
    """
    culprit = next((task for task in execution.tasks if _is_unhandled(execution, task)), None)
    status = ExecutionStatus.COMPLETED if culprit is None else ExecutionStatus.FAILED
    if execution.stopping is StopReason.CANCEL:
        culprit, status = None, ExecutionStatus.CANCELLED
    elif execution.stopping is StopReason.TIMEOUT:
        culprit, status = None, ExecutionStatus.FAILED
        limit_ms = execution.topology.workflow.timeout_ms or 0
        execution.error_type = "WorkflowTimeout"
        execution.error_message = f"it did not end within {limit_ms / 1000:g} s"
    if culprit is not None:
        execution.error_task = execution.topology.tasks[culprit.number].id
        execution.error_type = culprit.error_type
        execution.error_message = culprit.error_message
    elif status is ExecutionStatus.COMPLETED:
        excess = excess_of(texts_of(execution.views.final()), max_context_bytes)
        if excess is not None:
            status = ExecutionStatus.FAILED
            execution.error_type, execution.error_message = "ContextTooLarge", str(excess)
    execution.move(status)
    execution.finished_at_us = at_us
    execution.record(f"execution_{status.lower()}", at_us)


def _is_unhandled(execution: ExecutionState, task: TaskState) -> bool:
    if task.status is not TaskStatus.FAILED:
        return False
    spec = execution.topology.tasks[task.number]
    if spec.allow_failure:
        return False
    return not any(
        execution.tasks[number].status is TaskStatus.COMPLETED
        and spec.id in failures_named(execution.topology.tasks[number].trigger_rule)
        for number in execution.topology.dependents[task.number]
    )
