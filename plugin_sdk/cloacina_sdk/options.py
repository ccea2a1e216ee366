"""The options of `@task`: everything wrong with them is said when they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from cloacina_sdk.body import body_of, check_parameters, name_of
from cloacina_sdk.callbacks import NO_CALLBACKS, Callbacks
from cloacina_sdk.checks import checked_flag
from cloacina_sdk.definition import ATTRIBUTE, Dependency, TaskDefinition, TaskFunction, enlist
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDefinitionError, InvalidRuleError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.retry_options import retry_policy
from cloacina_sdk.rules import Rule, parse_rule
from cloacina_sdk.spec import LONGEST_TIMEOUT_MS
from cloacina_sdk.throttle import Throttle

F = TypeVar("F", bound=TaskFunction)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The checked options of a task that has no function yet."""

    id: str | None
    dependencies: tuple[Dependency, ...]
    retry: RetryPolicy
    trigger_rule: Rule | None
    allow_failure: bool
    timeout_ms: int | None
    mapped: Mapped | None
    throttle: Throttle | None
    callbacks: Callbacks

    @classmethod
    def checked(  # noqa: PLR0913 - each option of a task is one keyword
        cls,
        *,
        id: str | None,
        dependencies: Sequence[Dependency] | None,
        retry: RetryPolicy | None,
        retry_options: Mapping[str, object],
        trigger_rules: Mapping[str, JsonValue] | None,
        allow_failure: bool,
        timeout: timedelta | float | str | None,
        mapped: Mapped | None = None,
        throttle: Throttle | None = None,
        callbacks: Callbacks = NO_CALLBACKS,
    ) -> TaskOptions:
        """Check what was given to `@task`; options that are None were not given."""
        given = {name: value for name, value in retry_options.items() if value is not None}
        if id is not None and not _is_name(id):
            raise InvalidDefinitionError(
                f"The id of a task is a text that is not empty, not {id!r}"
            )
        if mapped is not None and not callbacks.is_empty:
            raise InvalidDefinitionError(
                "A task with map_over cannot have on_success, on_failure or on_retry; give them to "
                "a task that depends on it"
            )
        return cls(
            id=id,
            dependencies=_dependencies(dependencies),
            retry=retry_policy(retry, given),
            trigger_rule=_trigger_rule(trigger_rules),
            allow_failure=checked_flag("allow_failure", allow_failure),
            timeout_ms=timeout_in_ms(timeout),
            mapped=mapped,
            throttle=throttle,
            callbacks=callbacks,
        )

    def decorate(self, function: F) -> F:
        """Attach the definition to a function and hand it to an open builder."""
        body = body_of(function)
        task_id = self.id or name_of(body)
        takes_handle = check_parameters(task_id, body, is_mapped=self.mapped is not None)
        definition = TaskDefinition(
            id=task_id,
            function=body,
            dependencies=self.dependencies,
            retry=self.retry,
            trigger_rule=self.trigger_rule,
            allow_failure=self.allow_failure,
            timeout_ms=self.timeout_ms,
            mapped=self.mapped,
            throttle=self.throttle,
            callbacks=self.callbacks,
            takes_handle=takes_handle,
        )
        try:
            setattr(body, ATTRIBUTE, definition)
            setattr(function, ATTRIBUTE, definition)
        except (AttributeError, TypeError) as error:
            raise InvalidDefinitionError(
                f"Task {task_id!r} is a {type(function).__name__}, which takes no attributes; "
                "decorate a function that calls it"
            ) from error
        enlist(definition)
        return function


def timeout_in_ms(timeout: timedelta | float | str | None) -> int | None:
    """Return a time limit in milliseconds; None is none.

    Raises:
        InvalidDurationError: if it is no duration.
        InvalidDefinitionError: if it is shorter than a millisecond or longer than a year.
    """
    if timeout is None:
        return None
    limit_ms = to_milliseconds(timeout)
    if not 1 <= limit_ms <= LONGEST_TIMEOUT_MS:
        raise InvalidDefinitionError(
            f"A timeout is from a millisecond to a year, not {timeout!r}; leave it out for none"
        )
    return limit_ms


def _is_name(given: object) -> bool:
    return isinstance(given, str) and bool(given)


def _dependencies(given: object) -> tuple[Dependency, ...]:
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        raise InvalidDefinitionError(
            f"dependencies must be a list of task ids or task functions, not {given!r}"
        )
    for dependency in given:
        if not isinstance(dependency, str) and not callable(dependency):
            raise InvalidDefinitionError(
                f"A dependency must be a task id or a task function, not {dependency!r}"
            )
    return tuple(given)


def _trigger_rule(given: object) -> Rule | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InvalidRuleError(
            [f"trigger_rules takes a rule, not {given!r}; use always() or another builder"]
        )
    return parse_rule(given)
