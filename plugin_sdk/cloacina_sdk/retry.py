"""When a failed attempt is repeated, and after what delay.

* A policy is data: it is compared, written to JSON and read back, and decides the same
  everywhere.
* `max_attempts` counts runs, so 0 and 1 both mean: run once.
* A delay never exceeds `max_delay_ms`, jitter included.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cloacina_sdk.backoff import BackoffKind, BackoffStrategy
from cloacina_sdk.document import Fields
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDefinitionError, InvalidDocumentError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.retry_condition import (
    TRANSIENT_TEXTS,
    ConditionKind,
    ConditionLike,
    RetryCondition,
    as_conditions,
    read_condition,
)

__all__ = [
    "TRANSIENT_TEXTS",
    "BackoffKind",
    "BackoffStrategy",
    "ConditionKind",
    "ConditionLike",
    "RetryCondition",
    "RetryPolicy",
    "RetryPolicyBuilder",
    "check_field",
    "read_retry",
]

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
_MOST_ATTEMPTS = 2**31 - 1
_LONGEST_MS = 2**53 - 1
_HIGHEST = {
    "max_attempts": _MOST_ATTEMPTS,
    "initial_delay_ms": _LONGEST_MS,
    "max_delay_ms": _LONGEST_MS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a task is run and how long is waited in between.

    Attributes:
        max_attempts: runs in all, the first included.
        initial_delay_ms: the delay after the first failure, before backoff and jitter.
        max_delay_ms: no delay is longer.
        conditions: a failure is retried when any of them matches. Given may be one or several
            conditions, exception classes and predicates (see `RetryCondition`).
        with_jitter: whether delays are varied by a quarter either way.
    """

    max_attempts: int = 3
    initial_delay_ms: int = 1_000
    max_delay_ms: int = 60_000
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy.exponential)
    conditions: tuple[RetryCondition, ...] = (RetryCondition(kind=ConditionKind.ALL_ERRORS),)
    with_jitter: bool = True

    if TYPE_CHECKING:  # what is given may be less than what is kept

        def __init__(
            self,
            *,
            max_attempts: int = 3,
            initial_delay_ms: int = 1_000,
            max_delay_ms: int = 60_000,
            backoff: BackoffStrategy = ...,
            conditions: ConditionLike | Sequence[ConditionLike] = ...,
            with_jitter: bool = True,
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", as_conditions(self.conditions))
        for name in _HIGHEST:
            check_field(name, getattr(self, name), called=f"{name} of a retry policy")
        if not self.conditions:
            raise InvalidDefinitionError("A retry policy needs a condition; never() is one")
        for name, kind, given in (
            ("backoff", BackoffStrategy, self.backoff),
            ("with_jitter", bool, self.with_jitter),
        ):
            if not isinstance(given, kind):
                raise InvalidDefinitionError(
                    f"{name} of a retry policy must be a {kind.__name__}, not {given!r}"
                )

    @staticmethod
    def builder() -> RetryPolicyBuilder:
        """Start from the default policy and change it step by step."""
        return RetryPolicyBuilder()

    @staticmethod
    def default() -> RetryPolicy:
        """Return the policy of a task that says nothing: three runs, delays of 1 s and 2 s."""
        return RetryPolicy()

    @property
    def initial_delay(self) -> float:
        """The first delay in seconds."""
        return self.initial_delay_ms / 1_000

    @property
    def max_delay(self) -> float:
        """The longest delay in seconds."""
        return self.max_delay_ms / 1_000

    def delay_ms(self, attempt: int, jitter: float) -> int:
        """Return the delay after a failed attempt.

        Args:
            attempt: the attempt that failed, counted from 1.
            jitter: a random number from 0 up to 1, which becomes a factor from 0.75 to 1.25;
                without effect if the policy has no jitter.
        """
        if not self.initial_delay_ms:
            return 0
        delay = self.initial_delay_ms * self.backoff.factor(max(1, attempt))
        delay = min(delay, self.max_delay_ms)
        if self.with_jitter:
            delay = min(delay * (0.75 + 0.5 * jitter), self.max_delay_ms)
        return round(delay)

    def calculate_delay(self, attempt: int) -> float:
        """Return a delay in seconds, with jitter drawn afresh."""
        return self.delay_ms(attempt, random.random()) / 1_000  # noqa: S311 - spreads load, keeps no secret

    def allows_retry(self, failures: int, failure: TaskFailure) -> bool:
        """Tell whether another attempt follows.

        Args:
            failures: attempts that failed so far, this one included.
            failure: how this one failed.
        """
        if failure.is_fatal or not self.should_retry(failures):
            return False
        is_asked_for = failure.is_retry_wanted
        return is_asked_for or any(condition.matches(failure) for condition in self.conditions)

    def should_retry(self, attempt: int, error_type: str = "") -> bool:  # noqa: ARG002, RUF100 - the parameter is part of the known signature
        """Tell whether attempts are left after this one, whatever the error."""
        return attempt < max(1, self.max_attempts)

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form: durations in milliseconds, factors as decimal strings."""
        return {
            "max_attempts": self.max_attempts,
            "initial_delay_ms": self.initial_delay_ms,
            "max_delay_ms": self.max_delay_ms,
            "backoff": self.backoff.to_document(),
            "jitter": self.with_jitter,
            "conditions": [condition.to_document() for condition in self.conditions],
        }

    @classmethod
    def from_document(cls, document: JsonValue) -> RetryPolicy:
        """Read what `to_document` wrote.

        Raises:
            InvalidDocumentError: with every problem, unknown keys included.
        """
        problems: list[str] = []
        policy = read_retry(Fields(document, "$", problems))
        if problems:
            raise InvalidDocumentError("retry policy", problems)
        return policy


@dataclass(frozen=True, slots=True)
class RetryPolicyBuilder:
    """Changes a policy step by step; every step returns a new builder."""

    _policy: RetryPolicy = field(default_factory=RetryPolicy)

    def max_attempts(self, count: int) -> RetryPolicyBuilder:
        """Set how often the task runs in all."""
        return RetryPolicyBuilder(replace(self._policy, max_attempts=count))

    def initial_delay(self, delay: timedelta | float | str) -> RetryPolicyBuilder:
        """Set the first delay; plain numbers are seconds."""
        return RetryPolicyBuilder(replace(self._policy, initial_delay_ms=to_milliseconds(delay)))

    def max_delay(self, delay: timedelta | float | str) -> RetryPolicyBuilder:
        """Set the longest delay; plain numbers are seconds."""
        return RetryPolicyBuilder(replace(self._policy, max_delay_ms=to_milliseconds(delay)))

    def backoff_strategy(self, strategy: BackoffStrategy) -> RetryPolicyBuilder:
        """Set how delays grow."""
        return RetryPolicyBuilder(replace(self._policy, backoff=strategy))

    def retry_condition(self, *conditions: ConditionLike) -> RetryPolicyBuilder:
        """Set which failures are retried: those that any of the conditions matches.

        Exception classes and predicates will do (see `RetryCondition`).
        """
        return RetryPolicyBuilder(replace(self._policy, conditions=as_conditions(conditions)))

    def with_jitter(self, jitter: bool) -> RetryPolicyBuilder:  # noqa: FBT001 - the known signature is positional
        """Set whether delays are varied."""
        return RetryPolicyBuilder(replace(self._policy, with_jitter=jitter))

    def build(self) -> RetryPolicy:
        """Return the policy."""
        return self._policy


def check_field(name: str, value: object, *, called: str) -> int:
    """Return what a policy's field of a number may hold; `called` is what the giver calls it.

    Raises:
        InvalidDefinitionError: for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST[name]:
        return value
    raise InvalidDefinitionError(
        f"{called} must be an integer of 0 to {_HIGHEST[name]}, not {value!r}"
    )


def read_retry(fields: Fields) -> RetryPolicy:
    """Read the JSON form; with a problem the result is a stand-in."""
    policy = RetryPolicy(
        max_attempts=fields.integer("max_attempts", highest=_MOST_ATTEMPTS),
        initial_delay_ms=fields.integer("initial_delay_ms", highest=_LONGEST_MS),
        max_delay_ms=fields.integer("max_delay_ms", highest=_LONGEST_MS),
        backoff=BackoffStrategy.read(fields.inner("backoff")),
        with_jitter=fields.boolean("jitter"),
        conditions=_read_conditions(fields),
    )
    fields.close()
    return policy


def _read_conditions(fields: Fields) -> tuple[RetryCondition, ...]:
    before = len(fields.problems)
    conditions = tuple(read_condition(item) for item in fields.each("conditions"))
    if not conditions and fields.is_object and len(fields.problems) == before:
        fields.problems.append(f"{fields.path_of('conditions')} must name at least one condition")
    return conditions or (RetryCondition.never(),)
