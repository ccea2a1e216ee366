"""What `@task` makes of its options and a function: a `TaskDefinition`.

* Everything wrong with the options is said when they are written, everything wrong with the
  function when it is decorated.
* A definition knows its dependencies as they were written; names are resolved when a
  workflow is assembled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar, cast

from cloacina_sdk.backoff import BackoffStrategy
from cloacina_sdk.callbacks import NO_CALLBACKS, Callbacks
from cloacina_sdk.checks import checked_flag
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDefinitionError, InvalidRuleError
from cloacina_sdk.injection import call_arguments, handle_parameter, signature_of
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import RetryCondition, RetryPolicy, check_field
from cloacina_sdk.retry_condition import as_conditions
from cloacina_sdk.rules import Rule, parse_rule
from cloacina_sdk.spec import LONGEST_TIMEOUT_MS
from cloacina_sdk.throttle import Throttle

TaskFunction: TypeAlias = Callable[..., object]
Dependency: TypeAlias = str | TaskFunction
F = TypeVar("F", bound=TaskFunction)
T = TypeVar("T")

ATTRIBUTE = "__cloacina_task__"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """A task as it was written.

    Attributes:
        function: the body, called with one Context, the element if it is mapped, and the handle
            if it takes one.
        dependencies: ids and functions of other tasks, in declared order.
        trigger_rule: when the task runs; None is the default rule.
        timeout_ms: how long one attempt may take; None for what the host says.
        mapped: set where the body runs once for each element of a list.
        throttle: limits of its attempts beside the slots of a runner.
        takes_handle: whether the body is called with a handle.
    """

    id: str
    function: TaskFunction
    dependencies: tuple[Dependency, ...]
    retry: RetryPolicy
    trigger_rule: Rule | None
    allow_failure: bool
    timeout_ms: int | None = None
    mapped: Mapped | None = None
    throttle: Throttle | None = None
    callbacks: Callbacks = NO_CALLBACKS
    takes_handle: bool = False

    @staticmethod
    def of(function: object) -> TaskDefinition | None:
        """Return what `@task` attached to a function, or None.

        A wrapper that copied the attributes of the task it wraps is the body itself then.
        """
        definition = getattr(function, ATTRIBUTE, None)
        if not isinstance(definition, TaskDefinition) or not callable(function):
            return None
        if definition.function is function:
            return definition
        return replace(definition, function=function)


_enlist: ContextVar[Callable[[TaskDefinition], None] | None] = ContextVar("_enlist", default=None)


@contextmanager
def enlisting(callback: Callable[[TaskDefinition], None]) -> Iterator[None]:
    """Hand every task that this context defines meanwhile to a callback; the innermost wins."""
    token = _enlist.set(callback)
    try:
        yield
    finally:
        _enlist.reset(token)


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
            retry=_retry(retry, given),
            trigger_rule=_trigger_rule(trigger_rules),
            allow_failure=checked_flag("allow_failure", allow_failure),
            timeout_ms=timeout_in_ms(timeout),
            mapped=mapped,
            throttle=throttle,
            callbacks=callbacks,
        )

    def decorate(self, function: F) -> F:
        """Attach the definition to a function and hand it to an open builder."""
        body = _body_of(function)
        task_id = self.id or _name_of(body)
        takes_handle = _check_parameters(task_id, body, is_mapped=self.mapped is not None)
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
        callback = _enlist.get()
        if callback is not None:
            callback(definition)
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


def _body_of(function: TaskFunction) -> TaskFunction:
    return function.__func__ if isinstance(function, staticmethod) else function


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


def _retry(policy: object, given: Mapping[str, object]) -> RetryPolicy:
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


def _name_of(function: TaskFunction) -> str:
    name = getattr(function, "__name__", None)
    if not callable(function):
        raise InvalidDefinitionError(
            f"@task decorates a function, not {function!r}; its options are given by keyword"
        )
    if not isinstance(name, str):
        raise InvalidDefinitionError(
            f"A task made of a {type(function).__name__} has no name of its own; write @task(id=...)"
        )
    return name


def _check_parameters(task_id: str, function: TaskFunction, *, is_mapped: bool) -> bool:
    """Check that a body can be called, and return whether it takes a handle."""
    signature = signature_of(function)
    if signature is None:
        return False  # written in C without a signature: only a call can tell
    advice = f"the body is called with one argument, the Context: def {task_id}(context)"
    if is_mapped:
        advice = (
            "the body of a mapped task is called with two arguments, the Context and the element: "
            f"def {task_id}(context, item)"
        )
    first = next(iter(signature.parameters), None)
    if first is None:
        raise InvalidDefinitionError(f"Task {task_id!r} takes no parameter; {advice}")
    if first == "self":
        raise InvalidDefinitionError(
            f"Task {task_id!r} takes self: tasks of a @workflow class are plain functions: "
            f"drop self; {advice}"
        )
    try:
        handle = handle_parameter(function, is_mapped=is_mapped)
        arguments, named = call_arguments([None, None] if is_mapped else [None], handle, None)
        signature.bind(*arguments, **named)
    except (TypeError, InvalidDefinitionError) as error:
        raise InvalidDefinitionError(
            f"Task {task_id!r} cannot be called ({error}); {advice}"
        ) from error
    return handle is not None
