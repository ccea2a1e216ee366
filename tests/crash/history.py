"""What the database says of every run, read by plain SQL and with nothing of the engine's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.databases import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of an attempt."""

    number: int
    began_at_us: int
    ended_at_us: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task or an element with its attempts in order."""

    name: str
    element: int | None
    status: str
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """An execution with its tasks and the sequence of its events."""

    id: str
    run: int
    workflow: str
    status: str
    tasks: list[Task]
    events: list[tuple[int, str]]
    """Sequence and kind."""
    dependencies: Mapping[str, list[str]]
    """Of each task, by its stored graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that the checker compares."""

    executions: list[Execution]
    open_offers: int


def read(where: Where) -> History:
    """Read the whole database, which nobody writes any more."""
    attempts: dict[tuple[str, int], list[Attempt]] = {}
    for execution, task, number, began, ended, outcome in where.query(
        "SELECT execution_id, task_number, number, started_at, finished_at, outcome"
        " FROM task_attempts ORDER BY 1, 2, 3"
    ):
        attempt = Attempt(
            number=number, began_at_us=_us(began), ended_at_us=ended and _us(ended), outcome=outcome
        )
        attempts.setdefault((execution, task), []).append(attempt)
    tasks: dict[str, list[Task]] = {}
    for execution, number, name, element, status in where.query(
        "SELECT execution_id, number, task, item, status FROM task_executions ORDER BY 1, 2"
    ):
        found = attempts.get((execution, number), [])
        tasks.setdefault(execution, []).append(
            Task(name=name, element=element, status=status, attempts=found)
        )
    events: dict[str, list[tuple[int, str]]] = {}
    for execution, seq, kind in where.query(
        "SELECT execution_id, seq, kind FROM execution_events ORDER BY 1, 2"
    ):
        events.setdefault(execution, []).append((seq, kind))
    executions = [
        Execution(
            id=execution,
            run=json.loads(given)["run"],
            workflow=workflow,
            status=status,
            tasks=tasks.get(execution, []),
            events=events.get(execution, []),
            dependencies=_dependencies(graph),
        )
        for execution, workflow, status, given, graph in where.query(
            "SELECT e.id, e.workflow, e.status, e.input, g.document"
            " FROM workflow_executions e JOIN graphs g ON g.digest = e.graph_digest ORDER BY e.id"
        )
    ]
    ((open_offers,),) = where.query("SELECT count(*) FROM attempt_offers")
    return History(executions=executions, open_offers=open_offers)


def _dependencies(document: str) -> dict[str, list[str]]:
    tasks = json.loads(document)["tasks"]
    return {task["id"]: list(task.get("dependencies", ())) for task in tasks}


def _us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
