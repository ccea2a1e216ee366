"""What the kernel needs of the other runners on its database, whichever the database is."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from cloacina.model.states import Wish
from cloacina.ownership.offering import Look, Sight
from cloacina.planner.claims import Question, Taken
from cloacina.planner.events import StoredExecution
from cloacina.planner.guests import ClaimedOffer, GuestReport
from cloacina.store.commands import Command
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

    def leave_command(self, command_id: str, execution_id: str, wish: Wish, at_us: int) -> None:
        """Leave a wish for whoever owns an execution, or will, and wake the others.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """

    def commands(self, is_ours: Callable[[str], bool]) -> Sequence[Command]:
        """Return the wishes that others left for executions of ours, oldest first.

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

    def answer(self, command_ids: Sequence[str]) -> None:
        """Close commands whose effect is committed, and wake those who wait for them.

        Raises:
            StoreUnavailableError: if the same may succeed later.
        """

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
