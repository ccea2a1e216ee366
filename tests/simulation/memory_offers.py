"""Offers in the model of the database: the same operations as on the real one."""

from collections.abc import Callable, Collection, Iterator, Sequence

from cloacina.planner.events import Identity
from cloacina.planner.guests import ClaimedOffer, GuestReport, OpenOffer
from cloacina.planner.offered import SeenOffer
from cloacina.store.rows.log import log_line
from cloacina.store.timestamps import from_text, to_text
from cloacina_sdk.attempt import ExecutionResult
from cloacina_sdk.context import Context
from cloacina_sdk.waiting import Wait
from simulation.memory_tables import Draft, Tables, insert
from simulation.snapshot import LogRow, OfferRow


class MemoryOffers:
    """What runners do with offers beside their commits."""

    def __init__(self, tables: Tables, runners: Callable[[], Collection[str]]) -> None:
        self._tables = tables
        self._runners = runners

    def claimed_from(self, owner: str) -> tuple[SeenOffer, ...]:
        owners = {name: each.execution.owner for name, each in self._tables.executions.items()}
        return tuple(
            self.seen(row)
            for row in self._rows()
            if row.claimed_by is not None and owners[row.execution_id] == owner
        )

    def of_execution(self, execution_id: str) -> tuple[SeenOffer, ...]:
        return tuple(map(self.seen, self._tables.executions[execution_id].offers))

    def guests(self, runner_id: str) -> dict[str, bool]:
        return {str(row.token): row.stop_asked_at is not None for row in self._unended(runner_id)}

    def open_offers(self, runner_id: str) -> list[OpenOffer]:
        rows = [r for r in self._rows() if r.claimed_by is None and r.offered_by != runner_id]
        rows.sort(key=lambda row: (-row.priority, row.created_at, *row[:3]))
        return list(map(_open, rows))

    def claim(
        self,
        runner_id: str,
        accepts: Callable[[OpenOffer], bool],
        new_token: Callable[[], str],
        known: Collection[str],
        at_us: int,
    ) -> Sequence[ClaimedOffer]:
        in_doubt = [row for row in self._unended(runner_id) if row.token not in known]
        claimed = list(map(_claimed, in_doubt))
        for offer in self.open_offers(runner_id):
            if accepts(offer):
                row = self._find(offer.identity.execution_id, offer.task_number, offer.attempt)
                assert row is not None
                row = row._replace(
                    claimed_by=runner_id, token=new_token(), claimed_at=to_text(at_us)
                )
                self._put(row)
                claimed.append(_claimed(row))
        return claimed

    def report(self, reports: Sequence[GuestReport], at_us: int) -> None:
        for each in reports:
            row = self._find(each.execution_id, each.task_number, each.attempt)
            if row is not None and row.token == each.result.token and row.finished_at is None:
                outcome = each.result.to_json()
                self._put(row._replace(outcome=outcome, finished_at=to_text(at_us)))
                self._keep(each)

    def _keep(self, report: GuestReport) -> None:
        draft = Draft.of(self._tables.executions[report.execution_id])
        for line in report.lines:
            key = report.task_number, report.attempt
            row = log_line(report.execution_id, *key, line)
            insert(draft.logs, (*key, line.seq), LogRow._make(row))
        self._tables.install({report.execution_id: draft}, {})

    def seen(self, row: OfferRow) -> SeenOffer:
        return seen_offer(row, is_runner_alive=row.claimed_by in self._runners())

    def _rows(self) -> Iterator[OfferRow]:
        for name in sorted(self._tables.executions):
            yield from self._tables.executions[name].offers

    def _unended(self, runner_id: str) -> list[OfferRow]:
        return [r for r in self._rows() if r.claimed_by == runner_id and r.finished_at is None]

    def _find(self, execution_id: str, task_number: int, attempt: int) -> OfferRow | None:
        key = execution_id, task_number, attempt
        rows = self._tables.executions[execution_id].offers
        return next((row for row in rows if row[:3] == key), None)

    def _put(self, row: OfferRow) -> None:
        draft = Draft.of(self._tables.executions[row.execution_id])
        draft.offers[row.task_number, row.attempt] = row
        self._tables.install({row.execution_id: draft}, {})


def seen_offer(row: OfferRow, *, is_runner_alive: bool) -> SeenOffer:
    """Return an offer as its owner sees it."""
    result = None if row.outcome is None else ExecutionResult.from_json(row.outcome).outcome
    assert not isinstance(result, Wait), "no attempt waits that was offered"
    return SeenOffer(
        execution_id=row.execution_id,
        task_number=row.task_number,
        attempt=row.attempt,
        runner=row.claimed_by,
        token=row.token,
        claimed_at_us=None if row.claimed_at is None else from_text(row.claimed_at),
        result=result,
        is_runner_alive=is_runner_alive,
    )


def _claimed(row: OfferRow) -> ClaimedOffer:
    texts = Context.from_json(row.context).texts()
    return ClaimedOffer(offer=_open(row), token=str(row.token), texts=texts)


def _open(row: OfferRow) -> OpenOffer:
    return OpenOffer(
        identity=Identity(
            execution_id=row.execution_id,
            tenant=row.tenant,
            package=row.package,
            package_digest=row.package_digest,
            workflow=row.workflow,
            workflow_version=row.workflow_version,
            priority=row.priority,
        ),
        task=row.task,
        task_number=row.task_number,
        attempt=row.attempt,
    )
