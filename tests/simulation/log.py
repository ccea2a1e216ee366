"""What happened in a simulation, line by line. One seed gives one log, byte for byte."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulation.snapshot import Snapshot, changed_rows


class ViolationError(AssertionError):
    """An invariant does not hold."""


def require(claim: object, message: str) -> None:
    """Raise unless ``claim`` holds.

    Raises:
        ViolationError: if it does not.
    """
    if not claim:
        raise ViolationError(message)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a transaction changed about one execution."""

    before: Snapshot | None
    after: Snapshot

    def lines(self) -> list[str]:
        return changed_rows(self.before, self.after)


@dataclass(slots=True)
class Log:
    """Lines with their moment and actor; texts are made only when somebody reads them."""

    entries: list[tuple[int, str, str | Difference]] = field(default_factory=list)

    def add(self, at_us: int, actor: str, what: str | Difference) -> None:
        self.entries.append((at_us, actor, what))

    def lines(self) -> Iterator[str]:
        for at_us, actor, what in self.entries:
            texts = [what] if isinstance(what, str) else what.lines()
            for text in texts:
                yield f"{at_us / 1_000_000:>13.6f} {actor:<5} {text}"

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines())

    def digest(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()
