"""Committed rows of executions in memory, and transactions that work on copies of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cloacina.planner.events import Requested, Verdict
from simulation.snapshot import (
    AttemptRow,
    EventRow,
    ExecutionRow,
    LogRow,
    OfferRow,
    SentRow,
    Snapshot,
    TaskRow,
)

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")


@dataclass(slots=True)
class Draft:
    """One execution's rows while a transaction changes them."""

    execution: ExecutionRow
    tasks: dict[int, TaskRow] = field(default_factory=dict)
    attempts: dict[tuple[int, int], AttemptRow] = field(default_factory=dict)
    events: dict[int, EventRow] = field(default_factory=dict)
    offers: dict[tuple[int, int], OfferRow] = field(default_factory=dict)
    logs: dict[tuple[int, int, int], LogRow] = field(default_factory=dict)
    sent: dict[int, SentRow] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Snapshot) -> "Draft":
        return cls(
            stored.execution,
            {task.number: task for task in stored.tasks},
            {(attempt.task_number, attempt.number): attempt for attempt in stored.attempts},
            {event.seq: event for event in stored.events},
            {(offer.task_number, offer.attempt): offer for offer in stored.offers},
            {(line.task_number, line.attempt, line.seq): line for line in stored.logs},
            {event.seq: event for event in stored.sent},
        )

    def sealed(self) -> Snapshot:
        return Snapshot(
            self.execution,
            tuple(self.tasks[number] for number in sorted(self.tasks)),
            tuple(self.attempts[key] for key in sorted(self.attempts)),
            tuple(self.events[seq] for seq in sorted(self.events)),
            tuple(self.offers[key] for key in sorted(self.offers)),
            tuple(self.logs[key] for key in sorted(self.logs)),
            tuple(self.sent[seq] for seq in sorted(self.sent)),
        )


@dataclass(slots=True)
class CommandRow:
    """A command, and what was answered first."""

    asked: Requested
    verdict: Verdict | None = None


@dataclass(slots=True)
class RunnerRow:
    """A runner that is registered."""

    slots: int
    last_batch: str | None = None


class Tables:
    """What is committed. A transaction's drafts are installed together or dropped together."""

    def __init__(self) -> None:
        self.commands: dict[str, CommandRow] = {}
        self.graphs: dict[str, str] = {}
        self.executions: dict[str, Snapshot] = {}
        self.runners: dict[str, RunnerRow] = {}

    def draft(self, drafts: dict[str, Draft], execution_id: str) -> Draft:
        """Return the draft of an execution in a transaction."""
        known = drafts.get(execution_id)
        if known is None:
            stored = self.executions.get(execution_id)
            if stored is None:
                raise ValueError("FOREIGN KEY constraint failed")
            known = drafts[execution_id] = Draft.of(stored)
        return known

    def answer(self, command_id: str, verdict: Verdict) -> None:
        """Answer a command, unless it is answered, or there is none."""
        command = self.commands.get(command_id)
        if command is not None and command.verdict is None:
            command.verdict = verdict

    def install(self, drafts: Mapping[str, Draft], graphs: Mapping[str, str]) -> None:
        """Commit."""
        self.graphs |= graphs
        self.executions |= {name: draft.sealed() for name, draft in drafts.items()}


def insert(table: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    """Put a row where none is."""
    if key in table:
        raise ValueError("UNIQUE constraint failed")
    table[key] = row
