"""Retry policies."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidDefinitionError, InvalidDocumentError, InvalidDurationError
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.retry import BackoffStrategy, RetryCondition, RetryPolicy

FACTORS = st.floats(0.0001, 1_000_000)
BACKOFFS = st.one_of(
    st.just(BackoffStrategy.fixed()),
    st.builds(BackoffStrategy.linear, FACTORS),
    st.builds(BackoffStrategy.exponential, FACTORS, st.none() | FACTORS),
)
CONDITIONS = st.sampled_from(
    [
        RetryCondition.never(),
        RetryCondition.all_errors(),
        RetryCondition.transient_only(),
        RetryCondition.error_pattern(["Disk full", "ü"]),
    ]
)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(0, 2**31 - 1),
    initial_delay_ms=st.integers(0, 2**53 - 1),
    max_delay_ms=st.integers(0, 2**53 - 1),
    backoff=BACKOFFS,
    conditions=st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple),
    with_jitter=st.booleans(),
)
JITTERS = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.integers(1, 10_000)


def failure(
    message: str, *, error_type: str = "ValueError", is_transient: bool = False
) -> TaskFailure:
    return TaskFailure(
        error_type=error_type, message=message, traceback="", is_transient=is_transient
    )


@given(POLICIES, ATTEMPTS, JITTERS)
def test_a_delay_is_never_negative_and_never_above_the_cap(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    assert 0 <= policy.delay_ms(attempt, jitter) <= policy.max_delay_ms


@given(POLICIES, ATTEMPTS, JITTERS)
def test_jitter_varies_a_delay_by_at_most_a_quarter(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    steady = replace(policy, with_jitter=False)
    varied = replace(policy, with_jitter=True)
    exact = steady.delay_ms(attempt, jitter)
    slack = 2 + exact * 1e-9  # both are rounded to whole milliseconds
    assert exact == steady.delay_ms(attempt, 0)
    assert 0.75 * exact - slack <= varied.delay_ms(attempt, jitter) <= 1.25 * exact + slack


@given(POLICIES)
def test_a_policy_comes_back_from_its_document(policy: RetryPolicy) -> None:
    document = decode(encode(policy.to_document()))
    assert RetryPolicy.from_document(document) == policy


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (BackoffStrategy.fixed(), [100, 100, 100, 100]),
        (BackoffStrategy.linear(1.5), [150, 300, 450, 500]),
        (BackoffStrategy.exponential(2), [100, 200, 400, 500]),
        (BackoffStrategy.exponential(3, 0.5), [50, 150, 450, 500]),
    ],
)
def test_each_backoff_grows_as_it_says_up_to_the_cap(
    backoff: BackoffStrategy, delays: list[int]
) -> None:
    policy = RetryPolicy(initial_delay_ms=100, max_delay_ms=500, backoff=backoff, with_jitter=False)
    assert [policy.delay_ms(attempt, 0.5) for attempt in (1, 2, 3, 4)] == delays


@pytest.mark.parametrize("attempt", [10_000, 10**400])
def test_the_delay_of_a_late_attempt_is_the_cap(attempt: int) -> None:
    for backoff in (BackoffStrategy.exponential(1_000_000, 1_000_000), BackoffStrategy.linear(2)):
        policy = RetryPolicy(backoff=backoff, max_delay_ms=7_000)
        assert policy.delay_ms(attempt, 0.999) == 7_000
        assert replace(policy, initial_delay_ms=0).delay_ms(attempt, 0.5) == 0


def test_the_jitter_factor_runs_from_three_quarters_to_five_quarters() -> None:
    policy = RetryPolicy(initial_delay_ms=1_000, backoff=BackoffStrategy.fixed())
    assert policy.delay_ms(1, 0) == 750
    assert policy.delay_ms(1, 0.5) == 1_000
    assert policy.delay_ms(1, 0.999999) == 1_250


def test_calculated_delays_of_successive_attempts_do_not_overlap() -> None:
    policy = RetryPolicy.builder().initial_delay(0.25).build()
    for _ in range(100):
        assert 0.1875 <= policy.calculate_delay(1) <= 0.3125
        assert 0.375 <= policy.calculate_delay(2) <= 0.625


@pytest.mark.parametrize(("limit", "runs"), [(0, 1), (1, 1), (2, 2), (5, 5)])
def test_max_attempts_counts_runs(limit: int, runs: int) -> None:
    policy = RetryPolicy(max_attempts=limit)
    failures = 1
    while policy.allows_retry(failures, failure("x")):
        failures += 1
    assert failures == runs
    assert policy.should_retry(runs - 1, "any")
    assert not policy.should_retry(runs, "any")


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (RetryCondition.all_errors(), [failure("x")], []),
        (RetryCondition.never(), [], [failure("timeout", is_transient=True)]),
        (
            RetryCondition.transient_only(),
            [
                failure("x", is_transient=True),
                failure("Rate Limit exceeded"),
                failure("", error_type="psycopg.errors.ConnectionFailure"),
            ],
            [failure("disk full")],
        ),
        (
            RetryCondition.error_pattern(["DISK", "KeyError"]),
            [failure("the disk is full"), failure("x", error_type="KeyError")],
            [failure("timeout", is_transient=True)],
        ),
    ],
)
def test_conditions_match_by_kind_text_and_type(
    condition: RetryCondition, matching: list[TaskFailure], others: list[TaskFailure]
) -> None:
    assert all(condition.matches(one) for one in matching)
    assert not any(condition.matches(one) for one in others)


@pytest.mark.parametrize(
    "text",
    [
        "timeout",
        "connection",
        "network",
        "temporary",
        "unavailable",
        "busy",
        "overloaded",
        "rate limit",
    ],
)
def test_every_transient_text_is_recognised_in_any_case(text: str) -> None:
    assert RetryCondition.transient_only().matches(failure(f"some {text.upper()} trouble"))


def test_any_of_several_conditions_allows_a_retry() -> None:
    policy = (
        RetryPolicy.builder()
        .retry_condition(RetryCondition.transient_only(), RetryCondition.error_pattern(["disk"]))
        .build()
    )
    assert policy.allows_retry(1, failure("disk"))
    assert policy.allows_retry(1, failure("timeout"))
    assert not policy.allows_retry(1, failure("logic"))


def test_the_builder_sets_everything_and_changes_no_earlier_step() -> None:
    start = RetryPolicy.builder()
    policy = (
        start.max_attempts(7)
        .initial_delay("250ms")
        .max_delay(2)
        .backoff_strategy(BackoffStrategy.linear(3))
        .retry_condition(RetryCondition.never())
        .with_jitter(False)
        .build()
    )
    assert policy == RetryPolicy(
        max_attempts=7,
        initial_delay_ms=250,
        max_delay_ms=2_000,
        backoff=BackoffStrategy.linear(3),
        conditions=(RetryCondition.never(),),
        with_jitter=False,
    )
    assert (policy.initial_delay, policy.max_delay) == (0.25, 2.0)
    assert start.build() == RetryPolicy.default() == RetryPolicy()
    assert repr(policy).startswith("RetryPolicy(")


def test_the_document_of_the_default_policy() -> None:
    assert RetryPolicy().to_document() == {
        "max_attempts": 3,
        "initial_delay_ms": 1000,
        "max_delay_ms": 60000,
        "backoff": {"type": "Exponential", "base": "2", "multiplier": "1"},
        "jitter": True,
        "conditions": [{"type": "AllErrors"}],
    }


def document(**changes: JsonValue) -> dict[str, JsonValue]:
    return {**RetryPolicy().to_document(), **changes}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (document(more=1), "$.more is not a known key"),
        (document(max_attempts=True), "$.max_attempts must be an integer, not a boolean"),
        (document(max_attempts=-1), "$.max_attempts must be 0 to 2147483647, not -1"),
        (document(initial_delay_ms=1.0), "$.initial_delay_ms must be an integer, not a number"),
        (document(jitter=1), "$.jitter must be a boolean, not an integer"),
        (document(backoff={"type": "Fixed", "base": "2"}), "$.backoff.base is not a known key"),
        (document(backoff={"type": "Linear"}), "$.backoff.multiplier is missing"),
        (
            document(backoff={"type": "Linear", "multiplier": 2}),
            "$.backoff.multiplier must be a string, not an integer",
        ),
        (
            document(backoff={"type": "Linear", "multiplier": "1e3"}),
            "$.backoff.multiplier must be a decimal number, not '1e3'",
        ),
        (
            document(backoff={"type": "Linear", "multiplier": "0"}),
            "$.backoff.multiplier must be 0.0001 to 1000000, not 0",
        ),
        (
            document(backoff={"type": "Quadratic"}),
            "$.backoff.type must be one of Fixed, Linear, Exponential, not 'Quadratic'",
        ),
        (document(conditions=[]), "$.conditions must name at least one condition"),
        (
            document(conditions=[{"type": "ErrorPattern", "patterns": []}]),
            "$.conditions[0].patterns must hold at least one text, and none that is empty",
        ),
        (
            document(conditions=[{"type": "Never", "patterns": ["x"]}]),
            "$.conditions[0].patterns is not a known key",
        ),
    ],
)
def test_a_wrong_document_is_refused_with_exactly_its_problem(raw: JsonValue, problem: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        RetryPolicy.from_document(raw)
    assert caught.value.problems == (problem,)


def test_every_problem_of_a_document_is_collected() -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        RetryPolicy.from_document({"max_attempts": "3", "backoff": 1, "conditions": {}, "x": 0})
    assert len(caught.value.problems) == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"max_attempts": -1},
        {"max_attempts": True},
        {"initial_delay_ms": 0.5},
        {"max_delay_ms": 2**60},
        {"conditions": ()},
        {"conditions": ("all",)},
        {"backoff": "fixed"},
        {"with_jitter": 1},
    ],
)
def test_a_policy_out_of_range_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidDefinitionError, match="retry policy"):
        replace(RetryPolicy(), **changes)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf"), 1e9])
def test_factors_out_of_range_are_refused(factor: float) -> None:
    with pytest.raises(InvalidDefinitionError, match="multiplier must be"):
        BackoffStrategy.linear(factor)
    with pytest.raises(InvalidDefinitionError, match="base must be"):
        BackoffStrategy.exponential(factor)


def test_a_builder_refuses_what_is_no_duration_and_no_pattern() -> None:
    with pytest.raises(InvalidDurationError):
        RetryPolicy.builder().initial_delay("soon")
    for patterns in ([], [""], ["a", 1]):
        with pytest.raises(InvalidDefinitionError, match="at least one text"):
            RetryCondition.error_pattern(patterns)  # type: ignore[arg-type]  # on purpose
