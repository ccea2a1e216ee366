"""The task decorator."""

import functools
from datetime import timedelta

import pytest

from cloacina_sdk import Context, RetryPolicy, TaskDefinition, all_of, task, task_failed
from cloacina_sdk.definition import enlisting
from cloacina_sdk.errors import InvalidDefinitionError, InvalidDurationError, InvalidRuleError
from cloacina_sdk.retry import BackoffStrategy, RetryCondition


def definition_of(function: object) -> TaskDefinition:
    definition = TaskDefinition.of(function)
    assert definition is not None
    return definition


def body(context: Context) -> None:
    context["ran"] = True


def test_the_original_function_comes_back() -> None:
    def plain(context: Context) -> None: ...

    assert task(plain) is plain
    assert task(id="other")(plain) is plain
    assert definition_of(plain).function is plain


def test_a_bare_decorator_uses_the_name_and_the_default_policy() -> None:
    @task
    def load(context: Context) -> None: ...

    assert definition_of(load) == TaskDefinition(
        id="load",
        function=load,
        dependencies=(),
        retry=RetryPolicy(),
        trigger_rule=None,
        allow_failure=False,
    )
    assert definition_of(load).retry.max_attempts == 3


def test_options_become_the_definition() -> None:
    @task
    def first(context: Context) -> None: ...

    @task(
        id="load",
        dependencies=["x", first],
        retry_attempts=5,
        retry_backoff="linear",
        retry_delay_ms=10,
        retry_max_delay_ms=20,
        retry_condition="transient",
        retry_jitter=False,
        trigger_rules=task_failed("x"),
        allow_failure=True,
    )
    def second(context: Context) -> None: ...

    definition = definition_of(second)
    assert definition.id == "load"
    assert definition.dependencies == ("x", first)
    assert definition.trigger_rule == all_of(task_failed("x"))
    assert definition.allow_failure
    assert definition.retry == RetryPolicy(
        max_attempts=5,
        initial_delay_ms=10,
        max_delay_ms=20,
        backoff=BackoffStrategy.linear(),
        conditions=(RetryCondition.transient_only(),),
        with_jitter=False,
    )


def test_durations_are_accepted_in_every_form() -> None:
    @task(retry_delay="5s", retry_max_delay=timedelta(minutes=1), retry_backoff="exponential")
    def load(context: Context) -> None: ...

    assert definition_of(load).retry == RetryPolicy(initial_delay_ms=5_000, max_delay_ms=60_000)


def test_a_whole_policy_is_taken_as_it_is() -> None:
    policy = RetryPolicy(max_attempts=9)

    @task(retry=policy)
    def load(context: Context) -> None: ...

    assert definition_of(load).retry is policy


def test_partials_and_objects_are_tasks_when_they_are_named() -> None:
    class Loader:
        def __call__(self, context: Context) -> None: ...

    def load(url: str, context: Context) -> None: ...

    partial = task(id="partial")(functools.partial(load, "x"))
    loader = task(id="loader")(Loader())
    assert definition_of(partial).function is partial
    assert definition_of(loader).id == "loader"
    with pytest.raises(InvalidDefinitionError, match=r"no name of its own; write @task\(id="):
        task(functools.partial(load, "x"))


def test_a_wrapper_around_a_task_becomes_its_body() -> None:
    @task
    def load(context: Context) -> None: ...

    @functools.wraps(load)
    def wrapper(context: Context) -> None:
        load(context)

    assert definition_of(wrapper).function is wrapper
    assert definition_of(load).function is load


def test_what_is_no_task_has_no_definition() -> None:
    assert TaskDefinition.of(body) is None
    assert TaskDefinition.of(3) is None
    assert TaskDefinition.of(None) is None


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"retry": RetryPolicy(), "retry_jitter": False}, "retry= or retry_jitter, not both"),
        (
            {"retry": RetryPolicy(), "retry_attempts": 0, "retry_delay": 1},
            "retry= or retry_attempts, retry_delay, not both",
        ),
        ({"retry_delay": 1, "retry_delay_ms": 1}, "retry_delay or retry_delay_ms, not both"),
        ({"retry_max_delay": 1, "retry_max_delay_ms": 1}, "retry_max_delay_ms, not both"),
        ({"retry": 3}, "takes a RetryPolicy, not 3"),
        ({"retry_backoff": "cubic"}, "one of 'fixed', 'linear', 'exponential', not 'cubic'"),
        ({"retry_condition": "often"}, "one of 'never', 'transient', 'all', not"),
        ({"retry_condition": ["all", "often"]}, "one of 'never', 'transient', 'all', not 'often'"),
        ({"retry_condition": [3]}, "an exception class or a function of the error, not 3"),
        ({"retry_condition": []}, "needs a condition"),
        ({"retry_condition": [dict]}, "takes exception classes, not <class 'dict'>"),
        ({"retry_attempts": -1}, "retry_attempts must be an integer of 0 to"),
        ({"retry_attempts": "3"}, "retry_attempts must be an integer of 0 to"),
        ({"retry_jitter": "no"}, "retry_jitter must be True or False, not 'no'"),
        ({"dependencies": "a"}, "must be a list of task ids or task functions, not 'a'"),
        ({"dependencies": [1]}, "must be a task id or a task function, not 1"),
        ({"id": ""}, "not empty"),
        ({"id": 1}, "not 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_decorated(
    options: dict[str, object], fact: str
) -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        task(**options)  # type: ignore[call-overload]  # on purpose
    assert fact in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_wrong_durations_and_rules_are_refused_at_once_too() -> None:
    with pytest.raises(InvalidDurationError):
        task(retry_delay="soon")
    with pytest.raises(InvalidRuleError):
        task(trigger_rules={"type": "Sometimes"})


@pytest.mark.parametrize("option", ["invokes", "retries"])
def test_unknown_options_are_refused(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        task(**{option: 1})  # type: ignore[call-overload]  # on purpose


def test_a_body_without_parameters_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match=r"takes no parameter; .* def load\(context\)"):

        @task
        def load() -> None: ...


def test_a_body_that_needs_more_than_a_context_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match=r"cannot be called .*'more'"):

        @task
        def load(context: Context, more: int) -> None: ...

    with pytest.raises(InvalidDefinitionError, match=r"cannot be called .*'more'"):

        @task
        def store(context: Context, *, more: int) -> None: ...


def test_a_body_with_self_is_told_to_drop_it() -> None:
    with pytest.raises(InvalidDefinitionError, match="plain functions: drop self"):

        class Flow:
            @task
            def load(self, context: Context) -> None: ...


def test_a_body_may_have_more_parameters_with_defaults() -> None:
    @task
    def load(context: Context, limit: int = 3, *more: object, **options: object) -> None: ...

    @task(id="any")
    def accept(*arguments: object) -> None: ...

    assert definition_of(load).id == "load"
    assert definition_of(accept).id == "any"


@pytest.mark.parametrize("given", [3, "load", None.__class__.__call__, [].append])
def test_what_cannot_be_a_task_is_refused(given: object) -> None:
    with pytest.raises(InvalidDefinitionError):
        task(given)  # type: ignore[call-overload]  # on purpose


def test_definitions_go_to_the_innermost_open_list_only() -> None:
    outer: list[TaskDefinition] = []
    inner: list[TaskDefinition] = []

    def define(name: str) -> None:
        task(id=name)(lambda context: None)

    with enlisting(outer.append):
        define("a")
        with enlisting(inner.append):
            define("b")
        define("c")
    with pytest.raises(InvalidDefinitionError), enlisting(inner.append):
        define("")
    define("d")
    assert [found.id for found in outer] == ["a", "c"]
    assert [found.id for found in inner] == ["b"]


@pytest.mark.parametrize(
    ("given", "expected_ms"), [("5s", 5000), (0.25, 250), (timedelta(minutes=2), 120_000)]
)
def test_a_timeout_is_given_in_any_form_of_duration(
    given: str | float | timedelta, expected_ms: int
) -> None:
    def body(_context: Context) -> None: ...

    task(timeout=given)(body)
    definition = TaskDefinition.of(body)
    assert definition is not None
    assert definition.timeout_ms == expected_ms


@pytest.mark.parametrize("given", [0, "0ms", "400d"])
def test_a_timeout_out_of_range_is_refused(given: str | int) -> None:
    with pytest.raises(InvalidDefinitionError, match="from a millisecond to a year"):
        task(timeout=given)
