"""The other runners as a simulated one sees them, and the bells between them.

Who asks what of the database is decided by the real ``FileNeighbours`` and ``LeaseNeighbours`` on
the real databases, and by ``memory_neighbours`` on the model; here is what all have in common.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloacina.kernel.requests import LookAround
from cloacina.ownership.neighbours import Neighbours
from cloacina.ownership.offering import Look, Sight
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store.direct import Settled
from cloacina.store.migration import FindTarget
from cloacina.store.offers import Accepts as AcceptsOffer

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class Bell:
    """In place of ``Watch`` and ``Pulse``: rings reach the others a little later."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner

    def ring(self, _why: str = "") -> None:
        self._runner.world.ring(self._runner)

    ring_all = ring

    def follow(self, _peers: Iterable[str]) -> None:
        """The world tells of deaths."""

    def ask_for_ends(self) -> None:
        self._runner.world.ask_for_ends(self._runner)

    def tell_of_ends(self) -> None:
        self._runner.world.tell_of_ends(self._runner)

    def ask_for_changes(self) -> None:
        """Nobody follows here."""

    def tell_of_changes(self) -> None:
        """Nobody follows here."""

    def close(self) -> None:
        """Nothing is held."""


class SimulatedNeighbours:
    """The way from the kernel to the neighbours, with points at which the process can end."""

    def __init__(self, runner: "SimulatedRunner", inner: Neighbours) -> None:
        self._runner = runner
        self._inner = inner

    @property
    def in_doubt(self) -> Sequence[str]:
        """What a claim was about whose answer was lost."""
        found: Sequence[str] = getattr(self._inner, "_in_doubt", ())
        return found

    def join(self, at_us: int, notice: Callable[[], None], *, slots: int) -> None:
        """A runner has joined when it is made."""

    def when_changed(self, on_change: Callable[[], None]) -> None:
        self._inner.when_changed(on_change)

    def ask_for_changes(self) -> None:
        self._inner.ask_for_changes()

    def tell_of_changes(self) -> None:
        self._inner.tell_of_changes()

    def look(self) -> None:
        """Have the runner look around."""
        self._runner.send(LookAround())

    def join_again(self) -> None:
        self._inner.join_again()
        self._runner.log("joins again")

    def take_over(self) -> Sequence[StoredExecution]:
        claimed = self._inner.take_over()
        if claimed:
            self._runner.log(f"claims {[stored.identity.execution_id for stored in claimed]}")
        return claimed

    def finished(self, execution_id: str) -> StoredExecution | None:
        return self._inner.finished(execution_id)

    def settle(self, request: Requested, now: Now, *, is_new: bool) -> Settled:
        settled = self._inner.settle(request, now, is_new=is_new)
        what = f"{request.wish} {request.execution_id} ({request.command_id})"
        answer = settled.verdict and settled.verdict.answer
        self._runner.log(f"settles {what}: {answer}")
        return settled

    def taken(self, question: Question) -> Taken:
        return self._inner.taken(question)

    def migrate(
        self, request: Requested, find_target: FindTarget, now: Now, *, is_new: bool
    ) -> Settled:
        return self._inner.migrate(request, find_target, now, is_new=is_new)

    def retry(self, execution_id: str, at_us: int, *, from_failed: bool) -> ExecutionState:
        execution = self._inner.retry(execution_id, at_us, from_failed=from_failed)
        self._runner.log(
            f"retries {execution_id} {'from what failed' if from_failed else 'wholly'}"
        )
        return execution

    def commands(self) -> Sequence[Requested]:
        return self._inner.commands()

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        return self._inner.answers(command_ids)

    def tell_of_answers(self) -> None:
        self._runner.gate.point("before it tells of answers")
        self._inner.tell_of_answers()
        self._runner.log("has obeyed")

    def ask_for_ends(self) -> None:
        self._inner.ask_for_ends()

    def tell_of_ends(self) -> None:
        self._runner.gate.point("before it tells of ends")
        self._inner.tell_of_ends()

    def see_offers(self, look: Look) -> Sight:
        return self._inner.see_offers(look)

    def claim_offers(
        self, accepts: AcceptsOffer, new_token: Callable[[], str], known: Collection[str]
    ) -> Sequence[ClaimedOffer]:
        claimed = self._inner.claim_offers(accepts, new_token, known)
        for each in claimed:
            place = f"{each.offer.identity.execution_id} task {each.offer.task_number}"
            self._runner.log(f"claims the offer of {place}")
        return claimed

    def report_guests(self, reports: Sequence[GuestReport]) -> None:
        self._inner.report_guests(reports)
        for report in reports:
            self._runner.log(f"reports the guest {report.execution_id} task {report.task_number}")

    def tell_of_offers(self) -> None:
        self._runner.gate.point("before it tells of offers")
        self._inner.tell_of_offers()

    def leave(self) -> None:
        self._inner.leave()
