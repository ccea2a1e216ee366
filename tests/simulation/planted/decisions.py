"""Faults in what the planner decides of tasks and executions."""

from dataclasses import replace
from typing import Any

from cloacina.model.states import TaskStatus
from cloacina.planner import restore
from cloacina.planner.effects import Effect
from cloacina.planner.events import AttemptEnded, Now, StoredExecution
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import conclude, decide, settle
from cloacina.planner.progress import Progress
from cloacina.planner.queue.deadlines import Deadlines
from cloacina.planner.task import TaskState
from simulation.planted.fault import Patch, Planted


def _forgotten_token(patch: Patch) -> None:
    original = Progress.end_attempt

    def end_attempt(self: Progress, event: AttemptEnded, now: Now) -> list[Effect]:
        execution = self.in_flight.get(event.execution_id)
        task = execution.task(event.task_number) if execution else None
        token = task.token if task else None
        return original(self, replace(event, token=token or event.token), now)

    patch.setattr(Progress, "end_attempt", end_attempt)


def _completed_runs_again(patch: Patch) -> None:
    original = restore.rebuild

    def rebuild(execution: ExecutionState) -> list[TaskState]:
        for task in execution.tasks:
            if task.status is TaskStatus.COMPLETED:
                task.status = TaskStatus.READY
        return original(execution)

    patch.setattr(restore, "rebuild", rebuild)


def _output_forgotten(patch: Patch) -> None:
    original = restore.restored

    def restored_in_part(stored: StoredExecution) -> ExecutionState:
        tasks = tuple(replace(task, changes=None) for task in stored.tasks)
        return original(replace(stored, tasks=tasks))

    patch.setattr(restore, "restored", restored_in_part)


def _starts_early(patch: Patch) -> None:
    original = decide.close

    def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
        decidable = original(execution, task, at_us)
        dependents = execution.topology.dependents[task.number]
        early = [execution.tasks[n] for n in dependents if execution.tasks[n].waiting_for == 1]
        for dependent in early:
            dependent.waiting_for = 0
        return decidable + early

    patch.setattr(decide, "close", close)


def _retries_at_once(patch: Patch) -> None:
    original = Deadlines.retry_after

    def retry_after(
        self: Deadlines, execution: ExecutionState, task: TaskState, _delay_us: int, now: Now
    ) -> None:
        original(self, execution, task, 0, now)

    patch.setattr(Deadlines, "retry_after", retry_after)


def _timers_lost(patch: Patch) -> None:
    patch.setattr(Deadlines, "retry_after", lambda *_: None)


def _failure_unnoticed(patch: Patch) -> None:
    patch.setattr(conclude, "_is_unhandled", lambda *_: False)


def _taint_forgotten(patch: Patch) -> None:
    original = decide._skip

    def skip(execution: Any, task: Any, reason: Any, _sub_status: Any, at_us: Any) -> None:
        original(execution, task, reason, None, at_us)

    patch.setattr(decide, "_skip", skip)


def _loss_uncounted(patch: Patch) -> None:
    original = settle.lose

    def lose(execution: Any, task: Any, at_us: int, _max_losses: int) -> Any:
        return original(execution, task, at_us, 1)

    patch.setattr(settle, "lose", lose)


def _cancelled_decided(patch: Patch) -> None:
    original = decide.close

    def close(execution: ExecutionState, task: TaskState, at_us: int) -> list[TaskState]:
        original(execution, task, at_us)
        dependents = execution.topology.dependents[task.number]
        return [execution.tasks[n] for n in dependents if not execution.tasks[n].waiting_for]

    patch.setattr(decide, "close", close)


PLANTED = {
    "a forgotten token": Planted(
        _forgotten_token, "body did not|is not what it reported|stored another"
    ),
    "a completed task that runs again": Planted(
        _completed_runs_again, "after its end|before its dep|wait although slots|never ended"
    ),
    "an output that is forgotten": Planted(_output_forgotten, "saw|found|must be skipped"),
    "a start that is early": Planted(
        _starts_early, "before its dependencies ended|waits? although slots"
    ),
    "a retry without delay": Planted(_retries_at_once, "is early"),
    "a retry that is lost": Planted(_timers_lost, "is late|never ended"),
    "a failure that is not counted": Planted(_failure_unnoticed, "must end as"),
    "a skip that hides a failure": Planted(_taint_forgotten, "must be skipped"),
    "a task given up too soon": Planted(_loss_uncounted, "found|must be skipped|saw"),
    "a cancelled task that is decided": Planted(_cancelled_decided, "is not legal"),
}
