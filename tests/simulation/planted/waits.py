"""Faults in waits: what ends them, what a body is told of them, and who is told that it is lost."""

from typing import Any

from cloacina.kernel.asks import Asks
from cloacina.kernel.commit import Committed, Committer
from cloacina.planner import standstill
from cloacina.planner.effects import CallCondition, Effect
from cloacina.planner.events import Now
from cloacina.planner.execution import ExecutionState
from cloacina.planner.mailbox import Mailbox, SentEvent
from cloacina.planner.queue.deadlines import Deadlines
from cloacina.planner.queue.timers import Alarm
from cloacina.planner.task import TaskState
from cloacina.store.batch import Batch
from simulation.memory_writer import SimulatedLink
from simulation.planted.fault import Patch, Planted


def _first_event_again(patch: Patch) -> None:
    original = Mailbox.nth

    def nth(self: Mailbox, name: str, _place: int) -> SentEvent | None:
        return original(self, name, 0)

    patch.setattr(Mailbox, "nth", nth)


def _ends_early(patch: Patch) -> None:
    def limit_wait(self: Deadlines, execution: ExecutionState, task: TaskState, now: Now) -> None:
        wait = task.memory.open
        if wait is not None and wait.longest_us is not None:
            due_us = now.monotonic_us + wait.longest_us // 2
            self._timers.arm(Alarm.WAIT, due_us, execution.id, task=task)

    patch.setattr(Deadlines, "limit_wait", limit_wait)


def _never_rings(patch: Patch) -> None:
    patch.setattr(Deadlines, "limit_wait", lambda *_: None)


def _called_once(patch: Patch) -> None:
    patch.setattr(Deadlines, "poll_later", lambda *_: None)


def _calls_need_commits(patch: Patch) -> None:
    """As every other effect does: a turn that changes nothing calls nobody."""
    original = Committer.commit

    def commit(self: Committer, effects: list[Effect]) -> Committed:
        committed = original(self, effects)
        if not committed.has_written:
            committed.due = [each for each in committed.due if not isinstance(each, CallCondition)]
        return committed

    patch.setattr(Committer, "commit", commit)


def _memory_unwritten(patch: Patch) -> None:
    def change_memories(_self: SimulatedLink, _drafts: Any, batch: Batch) -> None:
        batch.rows["memories"].clear()

    patch.setattr(SimulatedLink, "_change_memories", change_memories)


def _events_lost(patch: Patch) -> None:
    def insert_sent(_self: SimulatedLink, _drafts: Any, batch: Batch) -> None:
        batch.rows["sent_events"].clear()

    patch.setattr(SimulatedLink, "_insert_sent", insert_sent)


def _lost_untold(patch: Patch) -> None:
    patch.setattr(Asks, "sweep", lambda *_: None)


def _clock_goes_on(patch: Patch) -> None:
    patch.setattr(standstill, "note", lambda *_: None)


PLANTED = {
    "an event that is seen again": Planted(_first_event_again, "out of turn|before it was sent"),
    "a wait that ends early": Planted(_ends_early, "is early|did not wait"),
    "a wait that never ends": Planted(_never_rings, "is late|never ended"),
    "a condition that is called once": Planted(_called_once, "never ended"),
    "a condition that is called with a commit only": Planted(_calls_need_commits, "never ended"),
    "a wait that is not written": Planted(_memory_unwritten, "disagrees|is told of"),
    "an event that is not written": Planted(
        _events_lost, "before it was sent|answers Verdict|numbered"
    ),
    "a lost body that nobody tells": Planted(_lost_untold, "hangs|lacks slots"),
    "a clock that does not stand still": Planted(_clock_goes_on, "goes on while"),
}
