"""The states of executions, tasks and attempts, and the one table of legal moves."""

from enum import StrEnum


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether no move leads out of this status."""
        return self in _FINAL_EXECUTION


class TaskStatus(StrEnum):
    """Where a task of an execution stands."""

    NOT_STARTED = "NotStarted"
    READY = "Ready"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether no move leads out of this status."""
        return self in _FINAL_TASK


class SubStatus(StrEnum):
    """What a status alone does not say."""

    RETRYING = "Retrying"
    """Ready, and waiting until the delay of its retry is over."""
    OFFERED = "Offered"
    """Ready, and any runner that has a free slot for it may claim it."""
    DEFERRED = "Deferred"
    """Waiting for a time, an event or a condition: ready, if the next attempt begins then; running,
    if its attempt waits where it is and has given its slot back."""
    UPSTREAM_FAILED = "UpstreamFailed"
    """Skipped, because a task that it depends on, directly or not, failed."""


class StopReason(StrEnum):
    """Why an execution is ending before all its tasks were decided."""

    CANCEL = "Cancel"
    """Somebody asked for it."""
    TIMEOUT = "Timeout"
    """It took longer than its workflow allows."""
    FAIL_FAST = "FailFast"
    """A task failed, nobody handles that, and the workflow wants to end then."""


class Wish(StrEnum):
    """What can be asked of an execution while it is in flight."""

    CANCEL = "Cancel"
    PAUSE = "Pause"
    RESUME = "Resume"
    SET_PRIORITY = "SetPriority"
    """Its argument is the new priority, in decimal digits."""
    MIGRATE = "Migrate"
    """To another version of its workflow: the argument, or the one for new executions."""
    SEND_EVENT = "SendEvent"
    """Its argument is a JSON object with the name of the event and, if there is one, its payload."""


class Answer(StrEnum):
    """What became of a wish."""

    GRANTED = "Granted"
    UNCHANGED = "Unchanged"
    """It stood so already."""
    ENDING = "Ending"
    """It is being stopped, so that there is nothing left to pause, resume or prefer."""
    ENDED = "Ended"
    """It had ended before."""
    REFUSED = "Refused"
    """The wish makes no sense; the detail of the answer says why."""
    LEFT = "Left"
    """It stands in the inbox of the runner that has the execution, and is not answered yet."""


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    RUNNER_LOST = "RunnerLost"
    """The runner that had started it died or was stopped before it reported."""
    DEFERRED = "Deferred"
    """Its body ended the run to wait; that is no failure."""


_FINAL_EXECUTION = frozenset(
    {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}
)
_FINAL_TASK = frozenset(
    {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.SKIPPED, TaskStatus.CANCELLED}
)

EXECUTION_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.PENDING: frozenset(ExecutionStatus) - {ExecutionStatus.PENDING},
    ExecutionStatus.RUNNING: frozenset(ExecutionStatus) - {ExecutionStatus.PENDING},
    ExecutionStatus.PAUSED: frozenset(ExecutionStatus)
    - {ExecutionStatus.PENDING, ExecutionStatus.PAUSED},
    ExecutionStatus.COMPLETED: frozenset(),
    ExecutionStatus.FAILED: frozenset(),
    ExecutionStatus.CANCELLED: frozenset(),
}

TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.NOT_STARTED: frozenset(
        {TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.SKIPPED, TaskStatus.CANCELLED}
    ),
    TaskStatus.READY: frozenset({TaskStatus.RUNNING, TaskStatus.FAILED, TaskStatus.CANCELLED}),
    TaskStatus.RUNNING: frozenset(
        {
            TaskStatus.RUNNING,  # the next attempt, when an earlier one was lost or retried at once
            TaskStatus.READY,
            TaskStatus.COMPLETED,
            TaskStatus.FAILED,
            TaskStatus.CANCELLED,
        }
    ),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.SKIPPED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}

EXECUTION_RETRY_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.FAILED: frozenset({ExecutionStatus.RUNNING}),
    ExecutionStatus.CANCELLED: frozenset({ExecutionStatus.RUNNING}),
}
"""What a person may ask for explicitly, and nobody else: that an execution runs again."""

TASK_RETRY_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.COMPLETED: frozenset({TaskStatus.NOT_STARTED}),
    TaskStatus.FAILED: frozenset({TaskStatus.NOT_STARTED}),
    TaskStatus.SKIPPED: frozenset({TaskStatus.NOT_STARTED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.NOT_STARTED}),
}
"""What becomes thereby of the tasks that are run again."""
