"""What one transaction of a group commit holds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import uuid4

from cloacina.planner.execution import ExecutionState
from cloacina.store.rows.attempt import NewAttempt, attempt_closes, new_attempts
from cloacina.store.rows.execution import GraphRow, execution_move, new_execution
from cloacina.store.rows.history import new_events
from cloacina.store.rows.log import new_log_lines
from cloacina.store.rows.memory import memory_rows, new_sent_events
from cloacina.store.rows.offer import new_offers, offer_settlements, offer_stops, offer_withdrawals
from cloacina.store.rows.reply import replies
from cloacina.store.rows.task import new_tasks, task_moves
from cloacina.store.statements import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The rows of some executions, by the statement that writes them."""

    token: str
    """Names this batch, so that one whose answer was lost can be recognised."""
    owner: str
    fences: dict[str, int]
    """Execution id -> the epoch in which it must still be the owner's."""
    rows: dict[str, list[Row]]

    @classmethod
    def of(
        cls, executions: Sequence[ExecutionState], owner: str, known_graphs: Collection[str]
    ) -> "Batch":
        """Return everything unsaved of ``executions``; graphs that are stored are left out."""
        stored = [each for each in executions if each.stored_status is not None]
        new = [each for each in executions if each.stored_status is None]
        new.sort(key=lambda each: each.identity.idempotency_key or "")
        offering = [each for each in executions if each.unsaved.offers is not None]
        graphs = {each.topology.digest: each.topology.document for each in new}
        attempts = [row for each in executions for row in new_attempts(each, owner)]
        return cls(
            token=uuid4().hex,
            owner=owner,
            fences={each.id: each.epoch for each in stored},
            rows={
                # in one order for all writers, who would otherwise wait for each other in a circle
                "graphs": [
                    GraphRow(digest, graphs[digest])
                    for digest in sorted(graphs.keys() - set(known_graphs))
                ],
                "executions": [new_execution(e, owner, e.topology.digest) for e in new],
                "tasks": [row for e in executions for row in new_tasks(e)],
                "offer_withdrawals": [row for e in offering for row in offer_withdrawals(e)],
                "offer_stops": [row for e in offering for row in offer_stops(e)],
                "offer_settlements": [row for e in offering for row in offer_settlements(e)],
                "offers": [row for e in offering for row in new_offers(e, owner)],
                "task_moves": [row for e in executions for row in task_moves(e)],
                "memories": [row for e in executions for row in memory_rows(e)],
                "attempts": [*sorted(attempts, key=_slot)],
                "attempt_closes": [row for e in executions for row in attempt_closes(e)],
                "execution_moves": [execution_move(e, owner) for e in stored if e.has_moved],
                "sent_events": [row for e in executions for row in new_sent_events(e)],
                "logs": [row for e in executions for row in new_log_lines(e)],
                "events": [row for e in executions for row in new_events(e)],
                "replies": [row for e in executions for row in replies(e)],
            },
        )


def _slot(row: NewAttempt) -> tuple[str, int]:
    return row.concurrency_key or "", row.concurrency_slot or 0
