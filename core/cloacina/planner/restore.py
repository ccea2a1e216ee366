"""Take up an execution that is stored: the planner's picture of it, and what follows from that."""

from collections.abc import Sequence

from cloacina.model.states import ExecutionStatus, StopReason, SubStatus, TaskStatus
from cloacina.planner.events import StoredExecution, StoredTask
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion
from cloacina.planner.mailbox import Mailbox
from cloacina.planner.task import TaskState


def restored(stored: StoredExecution) -> ExecutionState:
    """Return the planner's picture of an execution as the database holds it."""
    execution = ExecutionState(
        identity=stored.identity,
        topology=stored.topology,
        input_texts=stored.input_texts,
        epoch=stored.epoch,
        created_at_us=stored.created_at_us,
        status=ExecutionStatus(stored.status),
        stored_status=ExecutionStatus(stored.status),
        stopping=StopReason(stored.stopping) if stored.stopping else None,
        stored_stopping=StopReason(stored.stopping) if stored.stopping else None,
        stored_priority=stored.identity.priority,
        started_at_us=stored.started_at_us,
        finished_at_us=stored.finished_at_us,
        error_task=stored.error_task,
        error_type=stored.error_type,
        error_message=stored.error_message,
        event_count=stored.event_count,
        mailbox=Mailbox(stored.sent),
        waited_us=stored.waited_us,
        waits_since_us=stored.waits_since_us,
        stored_waiting=(stored.waited_us, stored.waits_since_us),
        tasks=[_restored_task(task) for task in stored.tasks if task.parent is None],
    )
    _restore_elements(execution, stored.tasks)
    return execution


def _restore_elements(execution: ExecutionState, stored: Sequence[StoredTask]) -> None:
    """Give mapped tasks their elements back, and what they pass on, from the elements' rows."""
    elements: dict[int, list[TaskState]] = {}
    for row in stored:
        if row.parent is not None:
            elements.setdefault(row.parent, []).append(_restored_task(row))
    for task in execution.tasks:
        mapped = execution.topology.tasks[task.number].mapped
        if mapped is None or task.elements is None:
            continue
        expansion = execution.expand(task, mapped)
        expansion.is_closed = execution.stopping is not None
        expansion.restore(elements.get(task.number, ()))
        if task.status is TaskStatus.COMPLETED:
            task.changes = expansion.collect()
        elif task.status.is_final:
            expansion.let_go()


def _restored_task(stored: StoredTask) -> TaskState:
    status = TaskStatus(stored.status)
    return TaskState(
        number=stored.number,
        status=status,
        sub_status=SubStatus(stored.sub_status) if stored.sub_status else None,
        attempt=stored.attempt,
        failures=stored.failures,
        losses=stored.losses,
        due_at_us=stored.due_at_us,
        longest_wait_us=stored.retry_delay_us,
        started_at_us=stored.started_at_us,
        finished_at_us=stored.finished_at_us,
        token=stored.token,
        changes=stored.changes,
        reason=stored.reason,
        error_type=stored.error_type,
        error_message=stored.error_message,
        parent=stored.parent,
        item=stored.item,
        elements=stored.elements,
        first_element=stored.first_element,
        memory=stored.memory,
        stored=(status, stored.attempt),
    )


def rebuild(execution: ExecutionState) -> list[TaskState]:
    """Rebuild what follows from the stored tasks; return those that are ready to start."""
    ready: list[TaskState] = []
    for task in execution.tasks:
        topology = execution.topology
        before, after = topology.dependencies[task.number], topology.dependents[task.number]
        task.waiting_for = sum(not execution.tasks[d].status.is_final for d in before)
        task.needed_by = sum(not execution.tasks[d].status.is_final for d in after)
        execution.unfinished += not task.status.is_final
        if task.is_waiting:
            execution.waiting[task.number] = task
        elif task.status is TaskStatus.READY:
            ready.append(task)
    for expansion in execution.expansions.values():
        execution.waiting |= {n: task for n, task in expansion.open.items() if task.is_waiting}
        ready += waiting_elements(expansion)
    return ready


def waiting_elements(expansion: Expansion) -> list[TaskState]:
    """Return the elements that are ready to start and, for those that never moved, their task."""
    ready = [
        task
        for task in expansion.open.values()
        if task.status is TaskStatus.READY and not task.is_waiting
    ]
    return [*ready, expansion.parent] if expansion.has_more else ready
