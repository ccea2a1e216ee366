"""What attempts hold of the limits that all runners of a database keep together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the row of an attempt holds: a slot of a concurrency key, and one of a rate."""

    key: str | None = None
    key_slot: int | None = None
    rate_key: str | None = None
    rate_slot: int | None = None


NOTHING = Claim()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask the database: who has slots of some keys, and some slots of rates."""

    keys: Collection[str] = ()
    rates: Collection[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the database holds of what it was asked for: each slot with the token that has it."""

    question: Question
    keys: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    rates: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def has_against(self, claim: Claim, token: str) -> bool:
        """Whether somebody else has what an attempt claims."""
        holders = {token}
        if claim.key is not None and claim.key_slot is not None:
            holders.add(self.keys.get(claim.key, {}).get(claim.key_slot, token))
        if claim.rate_key is not None and claim.rate_slot is not None:
            holders.add(self.rates.get(claim.rate_key, {}).get(claim.rate_slot, token))
        return len(holders) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a ready task waits for.

    Attributes:
        kind: ``slot`` (of the runner, or of the executor's pool), ``key``, ``rate``, ``elements``
            (as many of its mapped task run as may), ``delay`` (of its retry) or ``wait`` (its own).
        name: of the pool, key or rate; "" for what has none.
        limit: how many may have it at once, or start in a window; ``None`` where nobody says.
    """

    kind: str
    name: str = ""
    limit: int | None = None
