"""What the kernel needs of the other runners on its database, whichever the database is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from cloacina.ownership.offering import Look, Sight
from cloacina.planner.events import Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store.direct import Settled
from cloacina.store.migration import FindTarget
from cloacina.store.offers import Accepts as AcceptsOffer
from cloacina.store.ownership import Unowned

Accepts = Callable[[Unowned], bool]

ASKED_FOR_S: Final = 30.0
"""For how long those who were asked to ring at every change do so."""


class Neighbours(Protocol):
    """This runner among those that share its database, from ``join`` until ``leave``."""

    def when_changed(self, on_change: Callable[[], None]) -> None:
        """Have ``on_change`` called, from any thread, when any runner may have written something.

        Called before ``join``. Of others it is known while it was asked for.
        """

    def join(self, at_us: int, notice: Callable[[], None], *, slots: int) -> None:
        """Register with the others; ``notice`` is called, from any thread, when to look around.

        The others offer this runner as many attempts as it has ``slots``.
        """

    def join_again(self) -> None:
        """Register anew after the others held this runner for dead; nothing is owned then.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """

    def take_over(self) -> Sequence[StoredExecution]:
        """Release what dead runners held; claim and return what nobody owns and we can plan.

        Raises:
            EvictedError: the others hold this runner for dead; nothing is owned any more.
            EngineError: nothing was taken; the next look around tries again.
        """
        ...

    def finished(self, execution_id: str) -> StoredExecution | None:
        """Return an execution if it has ended, whoever ran it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def settle(self, request: Requested, now: Now, *, is_new: bool) -> Settled:
        """Do or refuse at once what is asked of an execution that nobody owns, or that has ended.

        What another runner owns is left to that one: a new request goes into its inbox.

        Raises:
            ExecutionNotFoundError: if there is no such execution.
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def migrate(
        self, request: Requested, find_target: FindTarget, now: Now, *, is_new: bool
    ) -> Settled:
        """Change an execution that is ours or nobody's to another version of its workflow.

        Nobody owns it afterwards. All that this runner did to it must be written before. What
        another runner owns is left to that one: a new request goes into its inbox.

        Raises:
            ExecutionNotFoundError: if there is no such execution.
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def retry(self, execution_id: str, at_us: int, *, from_failed: bool) -> ExecutionState:
        """Have an execution that failed or was cancelled run again, whoever will go on with it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            ExecutionNotRetryableError: if it runs, or did complete.
            StoreUnavailableError: if the same may succeed later.
            EngineError: if what is stored of it cannot be read.
        """
        ...

    def commands(self) -> Sequence[Requested]:
        """Return the oldest open commands for what is ours, what is nobody's, and what has ended.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def taken(self, question: Question) -> Taken:
        """Return who has slots of concurrency keys and rates.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """Return the answers to those commands that have one.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def tell_of_answers(self) -> None:
        """Wake the others: commands of theirs were answered."""

    def ask_for_ends(self) -> None:
        """Have the others ring when executions of theirs end, or slots of keys come free."""

    def tell_of_ends(self) -> None:
        """Wake those others that asked: executions of ours ended, or slots of keys came free."""

    def ask_for_changes(self) -> None:
        """Have the others ring whenever they write something, for ``ASKED_FOR_S`` from now."""

    def tell_of_changes(self) -> None:
        """Tell whoever asked for it, here or elsewhere: something was written."""

    def see_offers(self, look: Look) -> Sight:
        """Look at offers: at those of which there may be any.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """
        ...

    def claim_offers(
        self, accepts: AcceptsOffer, new_token: Callable[[], str], known: Collection[str]
    ) -> Sequence[ClaimedOffer]:
        """Claim what ``accepts`` says yes to, each under a new token, the most urgent first.

        What an earlier call claimed whose answer was lost, and is not among the tokens ``known``,
        is returned, too.

        Raises:
            EvictedError: the others hold this runner for dead; nothing was claimed.
            StoreUnavailableError: nothing is known to be claimed.
        """
        ...

    def report_guests(self, reports: Sequence[GuestReport]) -> None:
        """Tell owners how claimed attempts ended, and wake them.

        What is not expected any more changes nothing.

        Raises:
            StoreUnavailableError: nothing was written; the same may succeed later.
            EngineError: the database refuses something of it, and nothing was written.
        """

    def tell_of_offers(self) -> None:
        """Wake the others: there are offers, or some of theirs to give up."""

    def leave(self) -> None:
        """Leave what is still owned for the others, and go. Calling it again does nothing.

        A database that cannot be written is left all the same: the others find out.
        """
