"""The events that were sent to one execution, in the order in which they came.

Nobody consumes an event: every task sees each of them once per name, in order, and two tasks may
wait for the same one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """One event. Events are counted from 1 within their execution."""

    seq: int
    name: str
    payload: str | None
    """JSON text; ``None`` if nothing came with it."""
    at_us: int


class Mailbox:
    """The events of one execution."""

    def __init__(self, events: Iterable[SentEvent] = ()) -> None:
        """Hold ``events``, which are in order."""
        self._all: list[SentEvent] = []
        self._by_name: dict[str, list[SentEvent]] = {}
        for event in events:
            self._keep(event)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[SentEvent]:
        return iter(self._all)

    def add(self, name: str, payload: str | None, at_us: int) -> SentEvent:
        """Take an event that is sent now."""
        event = SentEvent(seq=len(self._all) + 1, name=name, payload=payload, at_us=at_us)
        self._keep(event)
        return event

    def nth(self, name: str, place: int) -> SentEvent | None:
        """Return the event of a name at a place, counted from 0, if it was sent already."""
        named = self._by_name.get(name, ())
        return named[place] if place < len(named) else None

    def payload_of(self, seq: int) -> str | None:
        """Return what came with an event."""
        return self._all[seq - 1].payload

    def _keep(self, event: SentEvent) -> None:
        self._all.append(event)
        self._by_name.setdefault(event.name, []).append(event)
