"""Move one execution forward: which tasks are decided, how a failure is taken, how it ends.

Creation is growth from nothing: ``grow`` adds the tasks of a topology that the execution does not
have yet, so a graph that gains tasks while it runs takes the same path.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from cloacina.model.context import texts_of
from cloacina.model.context_size import excess_of
from cloacina.model.rules import failures_named, holds
from cloacina.model.states import (
    AttemptOutcome,
    ExecutionStatus,
    StopReason,
    SubStatus,
    TaskStatus,
)
from cloacina.model.topology import Topology
from cloacina.planner import mapped
from cloacina.planner.claims import NOTHING, Claim
from cloacina.planner.execution import AttemptEnd, AttemptStart, ExecutionState, TaskState
from cloacina.planner.expansion import Expansion
from cloacina.planner.offered import Offering, Settlement
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure

LONGEST_DELAY_MS = 366 * 24 * 3600 * 1000
"""What a retry waits at most, so that its moment is one that the calendar has."""


def grow(execution: ExecutionState, topology: Topology, at_us: int) -> list[TaskState]:
    """Add the tasks that ``topology`` has beyond the execution's; return those that may start."""
    known = len(execution.tasks)
    execution.topology = topology
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
    return _decide_all(execution, [task for task in added if not task.waiting_for], at_us)


def start(
    execution: ExecutionState,
    task: TaskState,
    token: str,
    at_us: int,
    runner: str | None = None,
    claim: Claim = NOTHING,
) -> None:
    """Record the next attempt of ``task`` as running under ``token``, which holds ``claim``.

    It runs on ``runner``, if not here.
    """
    if runner is None:
        _take_back(execution, task)
    is_first_move = task.status is TaskStatus.NOT_STARTED
    task.move(TaskStatus.RUNNING)
    task.attempt += 1
    task.token = token
    task.runner, task.is_reported = runner, False
    task.due_at_us = None
    task.attempt_started_at_us = at_us
    if task.started_at_us is None:
        task.started_at_us = at_us
    expansion = execution.expansion_of(task)
    if expansion is not None:
        expansion.running += 1
        expansion.attempts += 1
    execution.touch(task)
    execution.unsaved.starts.append(
        AttemptStart(
            task.number,
            task.attempt,
            token,
            at_us,
            runner=runner,
            claim=claim,
            is_first_move=is_first_move,
        )
    )
    execution.record("task_started", at_us, task.number)


def offer(execution: ExecutionState, task: TaskState, texts: Mapping[str, str], at_us: int) -> None:
    """Offer the next attempt of ``task``, which is ready, to any runner."""
    task.sub_status = SubStatus.OFFERED
    task.due_at_us = None
    execution.touch(task)
    execution.offers.make(Offering(task.number, task.attempt + 1, texts, at_us))


def withdraw(execution: ExecutionState, task: TaskState) -> None:
    """Take an offer back; ``task`` stays ready."""
    _take_back(execution, task)
    task.sub_status = None
    execution.touch(task)


def hold(execution: ExecutionState, task: TaskState, at_us: int) -> None:
    """Record that ``task`` could start and waits for a free slot."""
    task.move(TaskStatus.READY)
    execution.touch(task)
    execution.record("task_ready", at_us, task.number)


def succeed(
    execution: ExecutionState, task: TaskState, changes: Changes, at_us: int
) -> list[TaskState]:
    """Take a successful attempt; return the tasks that may start now."""
    _end_attempt(execution, task, AttemptOutcome.SUCCEEDED, None, at_us)
    task.changes = changes
    task.move(TaskStatus.COMPLETED)
    execution.record("task_completed", at_us, task.number)
    return _finish(execution, task, at_us)


def fail(
    execution: ExecutionState, task: TaskState, failure: TaskFailure, jitter: float, at_us: int
) -> tuple[list[TaskState], int | None]:
    """Take a failed attempt; return the tasks that may start, or the delay of the retry in us."""
    if execution.stopping is not None:
        return end_early(execution, task, failure, at_us), None
    _end_attempt(execution, task, AttemptOutcome.FAILED, failure, at_us)
    task.failures += 1
    retry = execution.spec(task.number).retry
    if retry.allows_retry(task.failures, failure):
        delay_ms = failure.retry_after_ms
        if delay_ms is None:
            delay_ms = retry.delay_ms(task.failures, jitter)
        delay_us = min(delay_ms, LONGEST_DELAY_MS) * 1000
        task.move(TaskStatus.READY, SubStatus.RETRYING)
        task.due_at_us, task.longest_wait_us = at_us + delay_us, delay_us
        execution.touch(task)
        execution.record("task_retrying", at_us, task.number, failure.message[:500])
        return [], delay_us
    return _give_up(execution, task, failure.error_type, failure.message, at_us), None


def refuse(
    execution: ExecutionState, task: TaskState, error_type: str, message: str, at_us: int
) -> list[TaskState]:
    """Fail a task that was decided but cannot start; return the tasks that may start now."""
    if task.status is TaskStatus.NOT_STARTED:
        hold(execution, task, at_us)
    return _give_up(execution, task, error_type, message, at_us)


def finish_if_over(execution: ExecutionState, expansion: Expansion, at_us: int) -> list[TaskState]:
    """End a mapped task once its elements are over; return the tasks that may start now."""
    if not expansion.is_over:
        return []
    task = expansion.parent
    status, message = mapped.verdict(expansion)
    if status is TaskStatus.COMPLETED:
        task.changes = expansion.collect()
        task.move(status)
        execution.record("task_completed", at_us, task.number)
        return _finish(execution, task, at_us)
    expansion.let_go()
    if status is TaskStatus.FAILED:
        return _give_up(execution, task, "ElementFailed", message, at_us)
    task.move(status)
    execution.record("task_cancelled", at_us, task.number)
    return _finish(execution, task, at_us)


def lose(
    execution: ExecutionState, task: TaskState, at_us: int, max_losses: int
) -> list[TaskState]:
    """Take an attempt whose runner is gone; return the tasks that may start now.

    The task is among them until it lost ``max_losses`` attempts in this way; then it is given up.
    """
    if execution.stopping is not None:
        return end_early(execution, task, None, at_us)
    _end_attempt(execution, task, AttemptOutcome.RUNNER_LOST, None, at_us)
    task.losses += 1
    execution.record("task_runner_lost", at_us, task.number)
    if task.losses < max_losses:
        task.move(TaskStatus.READY)
        return [task]
    message = f"its runner was lost during {task.losses} attempts; the task may be what kills it"
    return _give_up(execution, task, "Abandoned", message, at_us)


def end_early(
    execution: ExecutionState, task: TaskState, failure: TaskFailure | None, at_us: int
) -> list[TaskState]:
    """Take the end of an attempt of an execution that is being stopped."""
    _end_attempt(execution, task, AttemptOutcome.CANCELLED, failure, at_us)
    _cancel(execution, task, at_us, None if failure is None else failure.message)
    return []


def stop(execution: ExecutionState, reason: StopReason, at_us: int) -> list[TaskState]:
    """Cancel what did not start; return the tasks whose attempts still have to end."""
    execution.stopping = reason
    execution.record("execution_stopping", at_us, detail=reason)
    running: list[TaskState] = []
    for task in execution.tasks:
        if task.token is not None:
            running.append(task)
        elif not task.status.is_final and task.number not in execution.expansions:
            _cancel(execution, task, at_us)
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
            _cancel(execution, element, at_us)
    if not expansion.parent.status.is_final:  # cancelling its last element ends it
        finish_if_over(execution, expansion, at_us)
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


def restore(execution: ExecutionState) -> list[TaskState]:
    """Rebuild what follows from the stored tasks; return those that are ready to start."""
    ready: list[TaskState] = []
    for task in execution.tasks:
        topology = execution.topology
        before, after = topology.dependencies[task.number], topology.dependents[task.number]
        task.waiting_for = sum(not execution.tasks[d].status.is_final for d in before)
        task.needed_by = sum(not execution.tasks[d].status.is_final for d in after)
        execution.unfinished += not task.status.is_final
        if task.status is TaskStatus.READY:
            ready.append(task)
    for expansion in execution.expansions.values():
        ready += waiting_elements(expansion)
    return ready


def reconsider(execution: ExecutionState, numbers: Iterable[int], at_us: int) -> list[TaskState]:
    """Decide those of ``numbers`` that wait for nothing, as if just now; return what may start.

    All that follows from the stored tasks is rebuilt first.
    """
    restore(execution)
    tasks = [execution.tasks[number] for number in numbers]
    return _decide_all(execution, [task for task in tasks if not task.waiting_for], at_us)


def waiting_elements(expansion: Expansion) -> list[TaskState]:
    """Return the elements that are ready to start and, for those that never moved, their task."""
    ready = [task for task in expansion.open.values() if task.status is TaskStatus.READY]
    return [*ready, expansion.parent] if expansion.has_more else ready


def begin(execution: ExecutionState, at_us: int) -> list[TaskState]:
    """Start an execution that is stored and was never planned; return the tasks that may start."""
    execution.started_at_us = at_us
    if execution.status is ExecutionStatus.PENDING:
        execution.move(ExecutionStatus.RUNNING)
        execution.record("execution_started", at_us)
    fresh = [t for t in execution.tasks if t.status is TaskStatus.NOT_STARTED]
    return _decide_all(execution, [task for task in fresh if not task.waiting_for], at_us)


def _end_attempt(
    execution: ExecutionState,
    task: TaskState,
    outcome: AttemptOutcome,
    failure: TaskFailure | None,
    at_us: int,
) -> None:
    if task.token is None:
        raise AssertionError(f"task {task.number} of {execution.id} has no running attempt")
    end = AttemptEnd(task.number, task.attempt, task.token, at_us, outcome, failure)
    execution.unsaved.ends.append(end)
    execution.touch(task)
    if task.runner is not None:
        settlement = Settlement(task.number, task.attempt, task.token, task.is_reported)
        execution.offers.settled.append(settlement)
    task.token = task.runner = None
    expansion = execution.expansion_of(task)
    if expansion is not None:
        expansion.running -= 1


def _take_back(execution: ExecutionState, task: TaskState) -> None:
    if task.sub_status is SubStatus.OFFERED:
        execution.offers.withdraw(task.number, task.attempt + 1)


def _cancel(
    execution: ExecutionState, task: TaskState, at_us: int, reason: str | None = None
) -> None:
    _take_back(execution, task)
    task.move(TaskStatus.CANCELLED)
    task.due_at_us = None
    task.reason = reason or None
    execution.record("task_cancelled", at_us, task.number, (reason or "")[:500])
    if task.parent is not None:
        _close_element(execution, task, at_us)
    else:
        _close(execution, task, at_us)


def _close_element(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Note that an element is final; return what may start, if its task ended with it."""
    task.finished_at_us = at_us
    execution.touch(task)
    expansion = execution.expansion_of(task)
    assert expansion is not None  # noqa: S101 - it is an element
    expansion.take(task)
    return finish_if_over(execution, expansion, at_us)


def _give_up(
    execution: ExecutionState, task: TaskState, error_type: str, message: str, at_us: int
) -> list[TaskState]:
    task.move(TaskStatus.FAILED)
    task.error_type, task.error_message = error_type, message
    execution.record("task_failed", at_us, task.number, f"{error_type}: {message}"[:500])
    return _finish(execution, task, at_us)


def _finish(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Close a final task and decide what that makes decidable; return what may start."""
    if task.parent is not None:
        return _close_element(execution, task, at_us)
    return _decide_all(execution, _close(execution, task, at_us), at_us)


def _close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
    """Note that ``task`` is final; return the tasks that waited for nothing else."""
    task.finished_at_us = at_us
    execution.touch(task)
    execution.unfinished -= 1
    execution.settle_view(task.number)
    decidable: list[TaskState] = []
    for number in execution.topology.dependents[task.number]:
        dependent = execution.tasks[number]
        dependent.waiting_for -= 1
        if not dependent.waiting_for and not dependent.status.is_final:  # it may be cancelled
            decidable.append(dependent)
    return decidable


def _decide_all(
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
            left.extend(_close(execution, task, at_us))
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
    texts = texts_of(execution.view(number))
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
        excess = excess_of(texts_of(execution.final_view()), max_context_bytes)
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
