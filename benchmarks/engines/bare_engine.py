"""The rows that Cloacina writes, without Cloacina: what an engine of this schema can reach at most.

One thread writes, and whatever ended while its last commit ran goes into the next one. It writes an
execution, its tasks, an attempt for each (before its body runs) and their history, by the same
statements, and plans nothing: no retries, rules, contexts, limits, timers, leases or offers.
"""

import json
import queue
import secrets
import sqlite3
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy.dialects import sqlite
from workloads import FAN, PAYLOAD, Engine, Kind

from cloacina import DefaultRunner, Runtime
from cloacina.store.rows.attempt import AttemptClose, NewAttempt
from cloacina.store.rows.execution import ExecutionMove, GraphRow, NewExecution
from cloacina.store.rows.history import NewEvent
from cloacina.store.rows.task import NewTask, TaskMove
from cloacina.store.statements import steps

_SLOTS = 16
_RUNNER = "bare"
_GRAPHS: dict[Kind, dict[str, list[str]]] = {
    "single": {"a": []},
    "chain": {"a": [], "b": ["a"], "c": ["b"]},
    "fan": {
        "head": [],
        **{f"m{place}": ["head"] for place in range(FAN)},
        "join": [f"m{place}" for place in range(FAN)],
    },
}
_INPUT = json.dumps({"x": PAYLOAD}, separators=(",", ":"))

_Row = TypeVar("_Row", bound=tuple[Any, ...])
_Batch = dict[str, list[tuple[Any, ...]]]


def _filled(kind: type[_Row], /, **given: Any) -> _Row:
    """Return a row of which all that is not given is NULL."""
    return kind(*(given.get(name) for name in kind._fields))  # type: ignore[attr-defined]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class _Run:
    """One execution: counts what its tasks wait for, and turns its moves into rows."""

    def __init__(self, kind: Kind) -> None:
        graph = _GRAPHS[kind]
        self.id, self.kind, self.ended = str(uuid4()), kind, Future[None]()
        self._names = list(graph)
        numbers = {name: number for number, name in enumerate(graph)}
        self._waiting_for = [len(before) for before in graph.values()]
        self._dependents: list[list[int]] = [[] for _ in graph]
        for name, before in graph.items():
            for dependency in before:
                self._dependents[numbers[dependency]].append(numbers[name])
        self._tokens: dict[int, str] = {}
        self._began: dict[int, str] = {}
        self._events, self._left = 0, len(graph)
        self.to_start: list[int] = []

    def create(self, batch: _Batch) -> None:
        at = _now()
        row = _filled(
            NewExecution,
            **{"id": self.id, "tenant": "public", "package": "embedded", "workflow": self.kind},
            **{"workflow_version": "0" * 16, "graph_digest": self.kind, "status": "Running"},
            **{"owner": _RUNNER, "epoch": 1, "priority": 0, "input": _INPUT, "event_count": 2},
            **{"created_at": at, "started_at": at},
        )
        batch["executions"].append(row)
        self._record(batch, "execution_submitted", at)
        for number, count in enumerate(self._waiting_for):
            self._add(batch, number, at if not count else None)

    def _add(self, batch: _Batch, number: int, at: str | None) -> None:
        status = "NotStarted" if at is None else "Running"
        row = _filled(
            NewTask,
            **{"execution_id": self.id, "number": number, "task": self._names[number]},
            **{"to_status": status, "to_attempt": int(at is not None), "started_at": at},
            **{"failures": 0, "losses": 0},
        )
        batch["tasks"].append(row)
        if at is not None:
            self._attempt(batch, number, at)

    def _attempt(self, batch: _Batch, number: int, at: str) -> None:
        self._tokens[number], self._began[number] = secrets.token_hex(16), at
        row = _filled(
            NewAttempt,
            **{"execution_id": self.id, "task_number": number, "number": 1, "started_at": at},
            **{"token": self._tokens[number], "runner": _RUNNER},
        )
        batch["attempts"].append(row)
        self._record(batch, "task_started", at, number)
        self.to_start.append(number)

    def end_task(self, batch: _Batch, number: int) -> None:
        at = _now()
        self._move(batch, number, "Running", "Completed", 1, finished_at=at, changes="{}")
        close = _filled(
            AttemptClose,
            **{"execution_id": self.id, "task_number": number, "number": 1, "finished_at": at},
            **{"token": self._tokens[number], "outcome": "Succeeded"},
        )
        batch["attempt_closes"].append(close)
        self._record(batch, "task_completed", at, number)
        for dependent in self._dependents[number]:
            self._waiting_for[dependent] -= 1
            if not self._waiting_for[dependent]:
                self._began[dependent] = at
                self._move(batch, dependent, "NotStarted", "Running", 0)
                self._attempt(batch, dependent, at)
        self._left -= 1
        if not self._left:
            self._end(batch, at)

    def _move(
        self, batch: _Batch, number: int, was: str, to: str, was_attempt: int, **more: str
    ) -> None:
        row = _filled(
            TaskMove,
            **{"execution_id": self.id, "number": number, "was_status": was, "to_status": to},
            **{"was_attempt": was_attempt, "to_attempt": 1, "failures": 0, "losses": 0},
            started_at=self._began[number],
            **more,
        )
        batch["task_moves"].append(row)

    def _end(self, batch: _Batch, at: str) -> None:
        self._record(batch, "execution_completed", at)
        row = _filled(
            ExecutionMove,
            **{"id": self.id, "was_status": "Running", "to_status": "Completed", "epoch": 1},
            **{"owner": _RUNNER, "priority": 0, "event_count": self._events},
            **{"started_at": at, "finished_at": at},
        )
        batch["execution_moves"].append(row)

    def _record(self, batch: _Batch, kind: str, at: str, number: int | None = None) -> None:
        self._events += 1
        row = _filled(
            NewEvent,
            **{"execution_id": self.id, "seq": self._events, "task_number": number},
            **{"kind": kind, "at": at},
        )
        batch["events"].append(row)

    @property
    def is_over(self) -> bool:
        return not self._left


class _Bare(Engine):
    durability = "WAL, synchronous=FULL; recovers nothing"

    def __init__(self, directory: Path) -> None:
        path = directory / "b.db"
        DefaultRunner(path, runtime=Runtime()).shutdown()  # makes the tables
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._steps = steps(sqlite.dialect())
        self._commit({"graphs": [GraphRow(kind, "{}") for kind in _GRAPHS]})
        self._inbox: queue.SimpleQueue[tuple[_Run, int | None] | None] = queue.SimpleQueue()
        self._bodies = ThreadPoolExecutor(_SLOTS)
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def run(self, kind: Kind) -> None:
        self._submit(kind).result()

    def run_at_once(self, kind: Kind, count: int) -> None:
        for ended in [self._submit(kind) for _ in range(count)]:
            ended.result()

    def close(self) -> None:
        self._inbox.put(None)
        self._thread.join()

    def _submit(self, kind: Kind) -> "Future[None]":
        run = _Run(kind)
        self._inbox.put((run, None))
        return run.ended

    def _write(self) -> None:
        while (message := self._inbox.get()) is not None:
            batch: _Batch = {step.kind: [] for step in self._steps}
            touched: dict[str, _Run] = {}
            while message is not None:
                run, number = message
                touched[run.id] = run
                if number is None:
                    run.create(batch)
                else:
                    run.end_task(batch, number)
                message = None if self._inbox.empty() else self._inbox.get()
            self._commit(batch)
            for run in touched.values():
                starting, run.to_start = run.to_start, []
                for number in starting:
                    self._bodies.submit(self._body, run, number)
                if run.is_over:
                    run.ended.set_result(None)

    def _commit(self, batch: _Batch) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for step in self._steps:
            rows = batch.get(step.kind)
            if rows:
                done = connection.executemany(step.compiled.text, step.compiled.arranged(rows))
                assert not step.must_hit or done.rowcount == len(rows), step.kind
        connection.execute("COMMIT")

    def _body(self, run: _Run, number: int) -> None:
        assert json.loads(_INPUT)["x"] == PAYLOAD
        self._inbox.put((run, number))


def open_engine(directory: Path, _url: str | None, _variant: str) -> Engine:
    """Open a new file."""
    return _Bare(directory)
