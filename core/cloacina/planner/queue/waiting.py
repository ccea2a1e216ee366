"""Say how what is ready waits here, to whoever asks: for a slot, a key, a rate, or its delay."""

from collections.abc import Iterator

from cloacina.model.states import SubStatus, TaskStatus
from cloacina.planner.execution import ExecutionState
from cloacina.planner.queue.claims import Waiting
from cloacina.planner.queue.schedule import Schedule
from cloacina.planner.queue.standing import Standing
from cloacina.planner.task import TaskState


def standing(schedule: Schedule, execution: ExecutionState) -> Standing:
    """Return how an execution waits."""
    lanes, slots = schedule.lanes, schedule.slots
    heads = list(_heads(execution))
    numbers = {*range(len(execution.tasks)), *(task.number for task in heads)}
    limits = {n: lanes.waits_for(execution.id, n) for n in numbers}
    places = {
        task.number: slots.place_of(execution.id, task.number)
        for task in [*filter(_may_wait_for_slot, execution.tasks), *heads]
    }
    return Standing(
        free_slots=schedule.free_slots,
        is_closing=schedule.is_closing,
        queue={number: place for number, place in places.items() if place is not None},
        limits={number: limit for number, limit in limits.items() if limit is not None},
    )


def _heads(execution: ExecutionState) -> Iterator[TaskState]:
    """Yield of each mapped task the first open element; without one, what stands for the next."""
    for expansion in execution.expansions.values():
        if expansion.open:
            yield next(iter(expansion.open.values()))
        elif expansion.has_more:
            yield expansion.parent


def _may_wait_for_slot(task: TaskState) -> bool:
    if task.unpark_ask is not None:
        return True
    return task.status in {TaskStatus.READY, TaskStatus.NOT_STARTED} and not task.waiting_for


def waiting_for(schedule: Schedule, execution: ExecutionState, task_number: int) -> Waiting | None:
    """Return why a task or element that is ready does not start; ``None`` if it is not ready.

    For a mapped task it is said of its next element.
    """
    task = execution.task(task_number)
    expansion = None if task is None else execution.expansion_of(task)
    is_next = expansion is not None and expansion.parent is task and expansion.has_more
    if task is None or (task.status is not TaskStatus.READY and not is_next):
        return None
    if task.is_waiting:
        return Waiting(kind="wait")
    if task.sub_status is SubStatus.RETRYING and task.due_at_us is not None:
        return Waiting(kind="delay")
    if expansion is not None and task_number in expansion.waiting:
        return Waiting(kind="elements", limit=expansion.mapped.max_parallel)
    return _waits_for_limit(schedule, execution, task) or _waits_for_slot(schedule, execution, task)


def _waits_for_limit(
    schedule: Schedule, execution: ExecutionState, task: TaskState
) -> Waiting | None:
    throttle = execution.spec(task.number).throttle
    found = schedule.lanes.waits_for(execution.id, task.number)
    if throttle is None or found is None:
        return None
    kind, name = found
    count = None if throttle.rate is None else throttle.rate.count
    return Waiting(kind=kind, name=name, limit=throttle.max_concurrent if kind == "key" else count)


def _waits_for_slot(schedule: Schedule, execution: ExecutionState, task: TaskState) -> Waiting:
    if not schedule.free_slots:
        return Waiting(kind="slot", limit=schedule.limits.slots)
    pool = schedule.pool_of(execution, task)
    return Waiting(kind="slot", name=pool.name, limit=pool.capacity)
