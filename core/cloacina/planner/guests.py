"""Attempts of other runners' executions that run here, from their claim until their report.

The claim was durable before the body began. What its owner thinks of it is found at every look:
one that it wants to end is asked to, and one whose claim is gone is ended by force.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cloacina.planner.events import Identity, SaidLine
from cloacina_sdk.attempt import ExecutionResult
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOffer:
    """An attempt that anybody may claim."""

    identity: Identity
    task: str
    task_number: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedOffer:
    """An attempt that this runner has claimed, and has to run."""

    offer: OpenOffer
    token: str
    texts: Mapping[str, str]
    """The merged context: key -> JSON text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestReport:
    """How a claimed attempt ended."""

    execution_id: str
    task_number: int
    attempt: int
    result: ExecutionResult
    lines: tuple[SaidLine, ...] = ()
    """What it said."""


@dataclass(frozen=True, slots=True)
class StopGuest:
    """A guest should end: it is asked first, and killed where that is possible."""

    token: str
    is_kill: bool


class Guests:
    """The guests of one runner, and what is to be told of them."""

    def __init__(self) -> None:
        """Begin without any."""
        self._running: dict[str, OpenOffer] = {}
        self._reports: dict[str, GuestReport] = {}
        self._told: dict[str, GuestReport] = {}
        """Ends that an owner here knows, but has not written yet."""
        self._stopped: set[StopGuest] = set()

    @property
    def is_any(self) -> bool:
        """Whether one runs, or has ended and was not reported."""
        return bool(self._running or self._reports)

    @property
    def tokens(self) -> list[str]:
        """The tokens of all that run, or ended and were not reported."""
        return [*self._running, *self._reports, *self._told]

    @property
    def reports(self) -> list[GuestReport]:
        """What owners are to be told."""
        return list(self._reports.values())

    def admit(self, claimed: ClaimedOffer) -> None:
        """Let a guest in, which is going to run."""
        self._running[claimed.token] = claimed.offer

    def end(
        self,
        token: str,
        result: Changes | TaskFailure,
        *,
        is_told: bool,
        lines: tuple[SaidLine, ...] = (),
    ) -> None:
        """Take the end of a guest, if it is one.

        It is to be reported, unless its owner ``is_told`` already and can write it (see ``settle``).
        """
        offer = self._running.pop(token, None)
        self._stopped = {stop for stop in self._stopped if stop.token != token}
        if offer is not None:
            (self._told if is_told else self._reports)[token] = GuestReport(
                execution_id=offer.identity.execution_id,
                task_number=offer.task_number,
                attempt=offer.attempt,
                result=ExecutionResult.of(token, result),
                lines=lines,
            )

    def settle(self, gone: Collection[str]) -> None:
        """Take note that what owners here were told is written, but for the executions ``gone``."""
        for token, report in self._told.items():
            if report.execution_id in gone:  # its next owner waits for the end
                self._reports[token] = report
        self._told.clear()

    def reported(self, report: GuestReport) -> None:
        """Take note that an owner can see how a guest ended."""
        self._reports.pop(report.result.token, None)

    def compare(self, found: Mapping[str, bool]) -> list[StopGuest]:
        """Return whom to stop, each once; ``found`` tells of each claim whether it is to end."""
        wanted = [
            StopGuest(token, is_kill=token not in found)
            for token in self._running
            if found.get(token, True)
        ]
        new = [each for each in wanted if each not in self._stopped]
        self._stopped.update(new)
        return new
