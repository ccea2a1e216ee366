"""Why something does not run, as a value."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an execution or a task is not running now, or that it is."""

    RUNNING = "Running"
    """It runs."""
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    RULE = "Rule"
    """It was skipped: its trigger rule did not hold."""
    UPSTREAM_FAILED = "UpstreamFailed"
    """It was skipped: something that it depends on failed."""
    STOPPING = "Stopping"
    """Its execution is being stopped, so that it will not start."""
    PENDING = "Pending"
    """No runner has taken its execution yet."""
    NO_OWNER = "NoOwner"
    """No runner has its execution, and whether one knows its workflow is not known here."""
    WORKFLOW_UNKNOWN = "WorkflowUnknown"
    """No runner has its execution, and its workflow is not registered here."""
    WORKFLOW_CHANGED = "WorkflowChanged"
    """No runner has its execution, and the workflow that is registered here lacks some tasks."""
    PACKAGE_MISSING = "PackageMissing"
    """No runner has its execution, and the package that it is pinned to is not loaded here."""
    MISROUTED = "Misrouted"
    """No runner has its execution, and the routing of this one sends a task where it cannot run."""
    CLAIM_DUE = "ClaimDue"
    """No runner has its execution, and this one is about to take it."""
    OWNER_DEAD = "OwnerDead"
    """The runner that has its execution died, and nobody has taken over yet."""
    PAUSED = "Paused"
    DEPENDENCY = "Dependency"
    """Something that it depends on has not ended."""
    RETRY_DELAY = "RetryDelay"
    """It failed, and the delay before its next attempt is not over."""
    TIME = "Time"
    """It waits for a time that it named."""
    EVENT = "Event"
    """It waits for an event that somebody sends to its execution."""
    CONDITION = "Condition"
    """It waits for a condition, which its runner calls by name."""
    CONDITION_UNKNOWN = "ConditionUnknown"
    """It waits for a condition that is not registered with its runner."""
    PARKED = "Parked"
    """Its body has begun, and waits without a slot until something that it polls is true."""
    PRIORITY = "Priority"
    """All slots are taken, and executions of higher priority are in front of it."""
    SLOT = "Slot"
    """All slots of its runner are taken."""
    POOL = "Pool"
    """The executor that it needs runs as much as it can."""
    CONCURRENCY_KEY = "ConcurrencyKey"
    """As many attempts run under its concurrency key as may."""
    RATE = "Rate"
    """As many attempts started in this window of its rate as may."""
    OFFERED = "Offered"
    """Its runner has no slot for it, and any runner that has one may run it."""
    SHUTTING_DOWN = "ShuttingDown"
    """The runner that has its execution is being shut down, and starts nothing more."""
    OWNER_ELSEWHERE = "OwnerElsewhere"
    """It is ready, and waits for the runner that has its execution, which is not this one."""
    STARTING = "Starting"
    """It is ready, and nothing stands in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an execution or a task is not running, and what would change that.

    Attributes:
        reason: to be told by programs.
        sentence: the same for people.
        unblock: what has to happen, or to be done, for it to run; empty if nothing will.
        task: the task that it is about; for an execution, the one that it waits for, if any.
        waits_for: the tasks that have to end before.
        until: when (RFC 3339, UTC) the wait is over, if that is known.
    """

    reason: Reason
    sentence: str
    unblock: str = ""
    task: str | None = None
    waits_for: tuple[str, ...] = ()
    until: str | None = None

    def __str__(self) -> str:
        return f"{self.sentence} ({self.unblock})" if self.unblock else self.sentence
