"""What an execution came to."""

from dataclasses import dataclass
from functools import cached_property

from cloacina.errors import TaskFailedError
from cloacina.model.context import texts_of
from cloacina.model.states import ExecutionStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.expansion import Expansion
from cloacina.planner.task import TaskState
from cloacina.store.timestamps import to_text
from cloacina_sdk.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementCounts:
    """How many elements of a mapped task stand where; what is missing has not started yet."""

    total: int
    completed: int
    failed: int
    running: int

    @property
    def done(self) -> int:
        """How many have ended."""
        return self.completed + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How one task of an execution ended.

    Attributes:
        task: the task's id.
        status: ``Completed``, ``Failed``, ``Skipped``, or where it stands if the execution runs.
        sub_status: what the status alone does not say: ``Retrying``, ``Offered`` or ``Deferred`` of
            one that goes on, ``UpstreamFailed`` of a skipped one; else ``None``.
        attempts: how often its body was started: the first time, for each retry, after each loss of
            its runner, and after each wait that ended a run; of a mapped task, for all its elements.
        error: ``type: message`` of the last failure of a failed task.
        reason: why a skipped task was skipped; how the attempt of a cancelled one ended, above
            all whether it goes on because nothing can stop it.
        elements: of a mapped task that has begun, how far its elements are.
    """

    task: str
    status: str
    attempts: int
    error: str | None
    reason: str | None
    elements: ElementCounts | None = None
    sub_status: str | None = None


class WorkflowResult:
    """What an execution came to, or where it stands. Failing is a result, not an exception."""

    def __init__(self, execution: ExecutionState) -> None:
        """Made by the runner."""
        self._execution = execution

    @property
    def execution_id(self) -> str:
        """The execution's id, a UUIDv7."""
        return self._execution.id

    @property
    def workflow(self) -> str:
        """The name of the workflow that ran."""
        return self._execution.identity.workflow

    @property
    def workflow_version(self) -> str:
        """The version of the workflow that it runs by: of a packaged one, the package's digest."""
        return self._execution.identity.workflow_version

    @property
    def package_digest(self) -> str | None:
        """The digest of the package that it is pinned to; ``None`` for an embedded workflow."""
        return self._execution.identity.package_digest

    @property
    def status(self) -> str:
        """``Completed`` or ``Failed``, or where the execution stands."""
        return self._execution.status.value

    @property
    def start_time(self) -> str | None:
        """When it started: RFC 3339, UTC, microseconds."""
        started = self._execution.started_at_us
        return None if started is None else to_text(started)

    @property
    def end_time(self) -> str | None:
        """When it ended: RFC 3339, UTC, microseconds; ``None`` while it runs."""
        finished = self._execution.finished_at_us
        return None if finished is None else to_text(finished)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end by the wall clock; ``None`` while it runs."""
        started, finished = self._execution.started_at_us, self._execution.finished_at_us
        if started is None or finished is None:
            return None
        return (finished - started) / 1_000_000

    @property
    def input_context(self) -> Context:
        """A fresh copy of the context that it was submitted with."""
        return Context.from_texts(self._execution.input_texts)

    @property
    def final_context(self) -> Context:
        """A fresh copy of the merge of what all leaves left behind."""
        return Context.from_texts(self._final_texts)

    @cached_property
    def _final_texts(self) -> dict[str, str]:
        return texts_of(self._execution.views.final())

    @cached_property
    def tasks(self) -> dict[str, TaskResult]:
        """How each task ended, by task id, in definition order."""
        execution = self._execution
        return {
            spec.id: _task_result(spec.id, task, execution.expansions.get(task.number))
            for spec, task in zip(execution.topology.tasks, execution.tasks, strict=True)
        }

    @property
    def error_message(self) -> str | None:
        """Which task failed first and why; ``None`` unless the execution failed."""
        execution = self._execution
        if execution.error_type is None:
            return None
        error = f"{execution.error_type}: {execution.error_message}"
        return (
            error
            if execution.error_task is None
            else f"task {execution.error_task!r} failed: {error}"
        )

    def raise_for_status(self) -> None:
        """Do nothing if the execution completed.

        Raises:
            TaskFailedError: otherwise, with the first failed task's own error if it has ended.
        """
        if self._execution.status is not ExecutionStatus.COMPLETED:
            message = self.error_message or "no task failed"
            raise TaskFailedError(self.execution_id, self.status, message)

    def __repr__(self) -> str:
        return (
            f"WorkflowResult(workflow={self.workflow!r}, execution_id={self.execution_id!r}, "
            f"status={self.status!r}, error={self.error_message!r})"
        )


def _task_result(task_id: str, task: TaskState, expansion: Expansion | None) -> TaskResult:
    counts = None
    if expansion is not None:
        counts = ElementCounts(
            total=expansion.count,
            completed=expansion.completed,
            failed=expansion.failed,
            running=expansion.running,
        )
    return TaskResult(
        task=task_id,
        status=task.status.value,
        attempts=task.attempt if expansion is None else expansion.attempts,
        error=f"{task.error_type}: {task.error_message}" if task.error_type else None,
        reason=task.reason,
        elements=counts,
        sub_status=None if task.sub_status is None else task.sub_status.value,
    )
