"""Take back the start of an attempt that the database refused, as if it had not been planned."""

from dataclasses import replace

from cloacina.model.states import TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import decide
from cloacina.planner.queue.claims import NOTHING
from cloacina.planner.task import TaskState
from cloacina.planner.unsaved import AttemptStart


def take_back(execution: ExecutionState, start: AttemptStart, at_us: int) -> TaskState | None:
    """Undo a start that is not committed; return its task, which is ready.

    An attempt that was settled before it could begin stays in the records, holding nothing;
    ``None`` is returned then. Everything else that is unsaved stays as it is.
    """
    starts = execution.unsaved.starts
    task = execution.task(start.task_number)
    if task is None or task.token != start.token:
        starts[starts.index(start)] = replace(start, claim=NOTHING)
        return None
    starts.remove(start)
    _strike_out(execution, start.task_number)
    task.token = None
    task.attempt -= 1
    if task.attempt == 0:
        task.started_at_us = None
    expansion = execution.expansion_of(task)
    if expansion is not None:
        expansion.running -= 1
        expansion.attempts -= 1
    if start.is_first_move:
        decide.hold(execution, task, at_us)
    else:
        task.move(TaskStatus.READY)
        execution.touch(task)
    return task


def _strike_out(execution: ExecutionState, task_number: int) -> None:
    """Remove the line that says that the attempt started; those behind it move up."""
    history = execution.unsaved.history
    place = max(
        place
        for place, line in enumerate(history)
        if line.kind == "task_started" and line.task_number == task_number
    )
    del history[place]
    history[place:] = [replace(line, seq=line.seq - 1) for line in history[place:]]
    execution.event_count -= 1
