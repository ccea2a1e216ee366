"""What `retry=` or the `retry_...` options of `@task` say: a `RetryPolicy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from cloacina_sdk.backoff import BackoffStrategy
from cloacina_sdk.checks import checked_flag
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.retry import RetryCondition, RetryPolicy, check_field
from cloacina_sdk.retry_condition import as_conditions

T = TypeVar("T")

_BACKOFFS: dict[str, Callable[[], BackoffStrategy]] = {
    "fixed": BackoffStrategy.fixed,
    "linear": BackoffStrategy.linear,
    "exponential": BackoffStrategy.exponential,
}
_CONDITIONS: dict[str, Callable[[], RetryCondition]] = {
    "never": RetryCondition.never,
    "transient": RetryCondition.transient_only,
    "all": RetryCondition.all_errors,
}


def retry_policy(policy: object, given: Mapping[str, object]) -> RetryPolicy:
    """Return the policy that was given whole, or option by option.

    Raises:
        InvalidDefinitionError: if it was given in both ways, or makes no sense.
    """
    if policy is None:
        return RetryPolicy(**_policy_fields(given))
    if given:
        raise InvalidDefinitionError(f"Give either retry= or {', '.join(sorted(given))}, not both")
    if not isinstance(policy, RetryPolicy):
        raise InvalidDefinitionError(f"retry= takes a RetryPolicy, not {policy!r}")
    return policy


def _policy_fields(given: Mapping[str, object]) -> dict[str, Any]:
    fields: dict[str, Any] = {}  # the policy would check them, too, but by its own names
    if "retry_attempts" in given:
        fields["max_attempts"] = check_field(
            "max_attempts", given["retry_attempts"], called="retry_attempts"
        )
    for option, field in (("retry_delay", "initial_delay_ms"), ("retry_max_delay", "max_delay_ms")):
        if option in given and f"{option}_ms" in given:
            raise InvalidDefinitionError(f"Give either {option} or {option}_ms, not both")
        if option in given:
            fields[field] = to_milliseconds(cast("str", given[option]))
        elif f"{option}_ms" in given:
            fields[field] = check_field(field, given[f"{option}_ms"], called=f"{option}_ms")
    if "retry_backoff" in given:
        fields["backoff"] = _named("retry_backoff", given["retry_backoff"], _BACKOFFS)
    if "retry_condition" in given:
        fields["conditions"] = _conditions(given["retry_condition"])
    if "retry_jitter" in given:
        fields["with_jitter"] = checked_flag("retry_jitter", given["retry_jitter"])
    return fields


def _conditions(given: object) -> tuple[RetryCondition, ...]:
    several = given if isinstance(given, list | tuple | set | frozenset) else [given]
    return as_conditions(
        [
            _named("retry_condition", each, _CONDITIONS) if isinstance(each, str) else each
            for each in several
        ]
    )


def _named(option: str, name: object, choices: Mapping[str, Callable[[], T]]) -> T:
    if not isinstance(name, str) or name not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise InvalidDefinitionError(f"{option} must be one of {listed}, not {name!r}")
    return choices[name]()
