"""Decide which tasks run, as soon as all that they depend on has ended.

Creation is growth from nothing: ``grow`` adds the tasks of a topology that the execution does not
have yet, so a graph that gains tasks while it runs takes the same path.
"""

from collections import deque
from collections.abc import Iterable

from cloacina.model.context import texts_of
from cloacina.model.rules import holds
from cloacina.model.states import ExecutionStatus, SubStatus, TaskStatus
from cloacina.model.topology import Topology
from cloacina.planner import restore
from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState


def grow(execution: ExecutionState, topology: Topology, at_us: int) -> list[TaskState]:
    """Add the tasks that ``topology`` has beyond the execution's; return those that may start."""
    known = len(execution.tasks)
    execution.replan(topology, execution.tasks)
    for number in range(known, len(topology)):
        task = TaskState(number=number, needed_by=len(topology.dependents[number]))
        execution.tasks.append(task)
        execution.touch(task)
    added = execution.tasks[known:]
    for task in added:
        before = [execution.tasks[d] for d in topology.dependencies[task.number]]
        task.waiting_for = sum(not dependency.status.is_final for dependency in before)
        for dependency in before:
            dependency.needed_by += dependency.number < known
    execution.unfinished += len(added)
    return decide_all(execution, [task for task in added if not task.waiting_for], at_us)


def begin(execution: ExecutionState, at_us: int) -> list[TaskState]:
    """Start an execution that is stored and was never planned; return the tasks that may start."""
    execution.started_at_us = at_us
    if execution.status is ExecutionStatus.PENDING:
        execution.move(ExecutionStatus.RUNNING)
        execution.record("execution_started", at_us)
    fresh = [t for t in execution.tasks if t.status is TaskStatus.NOT_STARTED]
    return decide_all(execution, [task for task in fresh if not task.waiting_for], at_us)


def reconsider(execution: ExecutionState, numbers: Iterable[int], at_us: int) -> list[TaskState]:
    """Decide those of ``numbers`` that wait for nothing, as if just now; return what may start.

    All that follows from the stored tasks is rebuilt first.
    """
    restore.rebuild(execution)
    tasks = [execution.tasks[number] for number in numbers]
    return decide_all(execution, [task for task in tasks if not task.waiting_for], at_us)


def hold(execution: ExecutionState, task: TaskState, at_us: int) -> None:
    """Record that ``task`` could start and waits for a free slot."""
    task.move(TaskStatus.READY)
    execution.touch(task)
    execution.record("task_ready", at_us, task.number)


def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Note that ``task`` is final; return the tasks that waited for nothing else."""
    task.finished_at_us = at_us
    execution.touch(task)
    execution.unfinished -= 1
    execution.views.settle(task.number)
    decidable: list[TaskState] = []
    for number in execution.topology.dependents[task.number]:
        dependent = execution.tasks[number]
        dependent.waiting_for -= 1
        if not dependent.waiting_for and not dependent.status.is_final:  # it may be cancelled
            decidable.append(dependent)
    return decidable


def decide_all(
    execution: ExecutionState, decidable: Iterable[TaskState], at_us: int
) -> list[TaskState]:
    """Decide tasks, and whatever their being skipped makes decidable; return what may start."""
    ready: list[TaskState] = []
    left = deque(decidable)
    while left:
        task = left.popleft()
        if _decide(execution, task, at_us):
            ready.append(task)
        else:
            left.extend(close(execution, task, at_us))
    return ready


def _decide(execution: ExecutionState, task: TaskState, at_us: int) -> bool:
    """Return whether a task whose dependencies are all final runs; otherwise mark it skipped."""
    number = task.number
    rule = execution.topology.tasks[number].trigger_rule
    if rule is None:
        reason = _failed_before(execution, number)
        if reason is None:
            return True
        _skip(execution, task, reason, SubStatus.UPSTREAM_FAILED, at_us)
        return False
    numbers = execution.topology.numbers
    texts = texts_of(execution.views.seen_by(number))
    if holds(rule, lambda name: execution.tasks[numbers[name]].status, texts):
        return True
    _skip(execution, task, "its trigger rule does not hold", None, at_us)
    return False


def _failed_before(execution: ExecutionState, number: int) -> str | None:
    for dependency in execution.topology.dependencies[number]:
        before = execution.tasks[dependency]
        if before.status in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
            name = execution.topology.tasks[dependency].id
            return f"dependency {name!r} {before.status.lower()}"
        if before.sub_status is SubStatus.UPSTREAM_FAILED:
            return before.reason
    return None


def _skip(
    execution: ExecutionState,
    task: TaskState,
    reason: str,
    sub_status: SubStatus | None,
    at_us: int,
) -> None:
    task.move(TaskStatus.SKIPPED, sub_status)
    task.reason = reason
    execution.record("task_skipped", at_us, task.number, reason)
