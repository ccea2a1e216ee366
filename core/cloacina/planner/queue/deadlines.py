"""When something is due: retries, limits of time, polls, and the ends of waits and of graces.

The time of an execution or attempt stands still while nothing of it can go on.
"""

from collections.abc import Iterator

from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.queue.limits import Limits
from cloacina.planner.queue.timers import Alarm, Timer, Timers
from cloacina.planner.task import TaskState


class Deadlines:
    """The timers of one runner."""

    def __init__(self, limits: Limits) -> None:
        """Begin without any."""
        self._limits = limits
        self._timers = Timers()

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which the next timer rings, if there is one."""
        return self._timers.next_due_us

    def take_due(self, now: Now) -> Iterator[Timer]:
        """Remove and yield the timers that ring."""
        return self._timers.take_due(now.monotonic_us)

    def retry_after(
        self, execution: ExecutionState, task: TaskState, delay_us: int, now: Now
    ) -> None:
        """Ring when the delay of a task's retry is over."""
        self._timers.arm(Alarm.RETRY, now.monotonic_us + delay_us, execution.id, task=task)

    def give_grace(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when an attempt that was asked to end had its time to do so."""
        due_us = now.monotonic_us + self._limits.grace_us
        self._timers.arm(Alarm.GRACE, due_us, execution.id, task=task)

    def limit(self, execution: ExecutionState, now: Now) -> None:
        """Ring when an execution has taken as long as its workflow allows, if it says so."""
        limit_ms = execution.topology.workflow.timeout_ms
        if limit_ms is not None and execution.started_at_us is not None:
            left_us = execution.time_left_us
            if left_us is None:
                spent_us = max(0, now.utc_us - execution.started_at_us - execution.waited_us)
                left_us = max(0, limit_ms * 1000 - spent_us)
            due_us = now.monotonic_us + left_us
            execution.times_out_at_us, execution.time_left_us = due_us, None
            self._timers.arm(Alarm.EXECUTION_TIMEOUT, due_us, execution.id, epoch=execution.epoch)

    def suspend(self, execution: ExecutionState, now: Now) -> None:
        """Have the time that a workflow allows stand still until ``limit`` is called again."""
        if execution.times_out_at_us is not None:
            execution.time_left_us = max(0, execution.times_out_at_us - now.monotonic_us)
            execution.times_out_at_us = None

    def limit_wait(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when a task's wait is over, or is to be given up, if it has such a moment."""
        begun = task.memory.open
        if begun is not None and begun.until_us is not None and begun.longest_us is not None:
            left_us = min(begun.until_us - now.utc_us, begun.longest_us)
            self._timers.arm(Alarm.WAIT, now.monotonic_us + left_us, execution.id, task=task)

    def poll_later(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when the condition that a task waits for is to be called again."""
        begun = task.memory.open
        if begun is not None and begun.poll_us is not None:
            self._timers.arm(Alarm.POLL, now.monotonic_us + begun.poll_us, execution.id, task=task)

    def limit_attempt(
        self, execution: ExecutionState, task: TaskState, now: Now, spent_us: int = 0
    ) -> None:
        """Ring when an attempt has taken as long as it may, ``spent_us`` of which are over."""
        limit_us = self.attempt_limit_us(execution, task)
        if limit_us is not None:
            due_us = now.monotonic_us + max(0, limit_us - spent_us)
            task.times_out_at_us = due_us
            self._timers.arm(Alarm.ATTEMPT_TIMEOUT, due_us, execution.id, task=task)

    def attempt_limit_us(self, execution: ExecutionState, task: TaskState) -> int | None:
        """Return how long an attempt of a task may take."""
        own_ms = execution.spec(task.number).timeout_ms
        return self._limits.attempt_timeout_us if own_ms is None else own_ms * 1000

    def hold_attempt(self, task: TaskState, now: Now) -> None:
        """Have the time of an attempt stand still until ``go_on_with_attempt`` is called."""
        if task.times_out_at_us is not None:
            task.time_left_us = max(0, task.times_out_at_us - now.monotonic_us)
            task.times_out_at_us = None

    def go_on_with_attempt(self, execution: ExecutionState, task: TaskState, now: Now) -> None:
        """Ring when an attempt has taken what was left of its time."""
        if task.time_left_us is not None:
            task.times_out_at_us = now.monotonic_us + task.time_left_us
            self._timers.arm(Alarm.ATTEMPT_TIMEOUT, task.times_out_at_us, execution.id, task=task)
            task.time_left_us = None

    def look_at_window(self, due_us: int) -> None:
        """Ring when a new window of a rate may begin."""
        self._timers.arm(Alarm.WINDOW, due_us, "")
