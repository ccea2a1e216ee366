"""Change an unfinished execution to another graph: what stands against it, and what becomes of it.

Tasks are known by their ids across versions; a task's number is its place in the graph. What has
ended is kept as it is. What has not is decided anew, with the attempts and failures that it had.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cloacina.model.states import SubStatus, TaskStatus
from cloacina.model.topology import Topology
from cloacina.planner.events import Identity, StoredExecution, StoredTask
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves import conclude, decide, remember
from cloacina.planner.restore import restored
from cloacina.planner.task import TaskState
from cloacina_sdk.spec import TaskSpec

_DELAYED: Final = (SubStatus.RETRYING, SubStatus.DEFERRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A version of a workflow that an execution can be changed to."""

    version: str
    package_digest: str | None
    topology: Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """An execution as it is to be stored, and where the rows of its tasks go.

    Attributes:
        execution: with the tasks of the new graph.
        moved: the new number of each stored task that is kept, by its old one.
        removed: the old numbers of those that the new graph does not have.
    """

    execution: ExecutionState
    moved: dict[int, int]
    removed: tuple[int, ...]


def obstacles(stored: StoredExecution, target: Target) -> list[str]:
    """Return everything that forbids a migration; nothing if it is allowed."""
    found = ["it is being stopped"] if stored.stopping is not None else []
    if any(offer.token is not None for offer in stored.offers):
        found.append("another runner runs an attempt of it: pause it and let the attempt end")
    begun = [task.number for task in stored.tasks if task.elements is not None]
    for number in begun:
        name = stored.topology.tasks[number].id
        found.append(f"mapped task {name!r} has begun, and its elements cannot be moved")
    for task in stored.tasks[: len(stored.topology)]:
        found += _obstacles_of(task, stored.topology, target)
    return found


def migrated(stored: StoredExecution, target: Target, at_us: int) -> Migration:
    """Return what becomes of an execution against whose migration nothing stands."""
    old, new = stored.topology, target.topology
    places = {task.number: new.numbers.get(old.tasks[task.number].id) for task in stored.tasks}
    moved = {was: now for was, now in places.items() if now is not None}
    kept = {now: stored.tasks[was] for was, now in moved.items()}
    removed = tuple(was for was, now in places.items() if now is None)
    was_version = stored.identity.workflow_version
    execution = restored(replace(stored, identity=_identity(stored.identity, target)))
    tasks = execution.tasks
    if stored.tasks:  # else no runner ever had it, and the next one begins with the new graph
        known = {now: execution.tasks[was] for was, now in moved.items()}
        tasks = [_placed(known.get(number), number) for number in range(len(new))]
    execution.replan(new, tasks)
    gone = ", ".join(repr(old.tasks[number].id) for number in removed)
    detail = f"{was_version} -> {target.version}" + (f", without {gone}" if gone else "")
    execution.record("execution_migrated", at_us, detail=detail)
    if execution.tasks:
        _decide(execution, kept, at_us)
    return Migration(execution=execution, moved=moved, removed=removed)


def _obstacles_of(task: StoredTask, old: Topology, target: Target) -> Iterator[str]:
    spec = old.tasks[task.number]
    number = target.topology.numbers.get(spec.id)
    status = TaskStatus(task.status)
    if status is TaskStatus.RUNNING:
        yield f"task {spec.id!r} is running: pause the execution and let its attempt end"
    elif number is None:
        if status.is_final or task.attempt:
            yield f"task {spec.id!r} was attempted or has ended, and that version does not have it"
    elif status.is_final:
        yield from _differences(spec, target.topology.tasks[number])


def _differences(old: TaskSpec, new: TaskSpec) -> Iterator[str]:
    start = f"task {old.id!r} has ended, and"
    if old.dependencies != new.dependencies:
        yield f"{start} depends on {_listed(new.dependencies)} instead of {_listed(old.dependencies)}"
    if old.trigger_rule != new.trigger_rule:
        yield f"{start} has another trigger rule in that version"
    if old.fingerprint and new.fingerprint and old.fingerprint != new.fingerprint:
        yield f"{start} has other code in that version"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"


def _identity(identity: Identity, target: Target) -> Identity:
    return replace(identity, workflow_version=target.version, package_digest=target.package_digest)


def _placed(task: TaskState | None, number: int) -> TaskState:
    """Return a task under its number in the new graph; what has not ended is yet to be decided."""
    if task is None:
        return TaskState(number=number)
    task.number = number
    if not task.status.is_final:
        task.status, task.sub_status, task.due_at_us = TaskStatus.NOT_STARTED, None, None
    return task


def _decide(execution: ExecutionState, kept: dict[int, StoredTask], at_us: int) -> None:
    """Decide what has not ended, as the new graph says; a delay or wait that runs goes on."""
    open_tasks = [task for task in execution.tasks if not task.status.is_final]
    for task in open_tasks:
        execution.touch(task)
    for task in decide.reconsider(execution, [task.number for task in open_tasks], at_us):
        was = kept.get(task.number)
        if was is not None and was.status == TaskStatus.READY:
            kept_on = [sub for sub in _DELAYED if was.sub_status == sub]
            task.move(TaskStatus.READY, *kept_on)
            task.due_at_us = was.due_at_us
        else:
            decide.hold(execution, task, at_us)
    for task in open_tasks:
        if not task.is_waiting:  # it is begun again when its body comes to it
            remember.forget_wait(execution, task)
    if not execution.unfinished:
        conclude.conclude(execution, at_us)
