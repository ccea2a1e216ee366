"""Trigger rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidRuleError
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.rules import (
    MAX_NESTING,
    OPERATORS,
    Rule,
    all_of,
    always,
    any_of,
    context_value,
    named_tasks,
    none_of,
    parse_rule,
    task_failed,
    task_skipped,
    task_success,
    with_task_names,
)

NAMES = st.sampled_from(["a", "b", "c"])
RULES = st.recursive(
    st.builds(always)
    | st.builds(task_success, NAMES)
    | st.builds(task_failed, NAMES)
    | st.builds(task_skipped, NAMES)
    | st.builds(context_value, NAMES, st.sampled_from(["==", "contains"]), st.integers()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: all_of(*parts)),
        st.lists(inner, max_size=3).map(lambda parts: any_of(*parts)),
        st.lists(inner, max_size=3).map(lambda parts: none_of(*parts)),
        inner.map(lambda rule: ~rule),
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
    ),
    max_leaves=8,
)


@given(RULES)
def test_a_parsed_rule_is_its_own_normal_form(rule: Rule) -> None:
    parsed = parse_rule(rule)
    assert parse_rule(parsed) == parsed
    assert parse_rule(decode(encode(parsed))) == parsed
    assert parsed["type"] in ("Always", "All", "Any", "None")
    assert named_tasks(parsed) == named_tasks(rule)


@given(RULES)
def test_renaming_reaches_every_task_and_leaves_the_rule_alone(rule: Rule) -> None:
    before = encode(rule)
    renamed = with_task_names(rule, str.upper)
    assert named_tasks(renamed) == {name.upper() for name in named_tasks(rule)}
    assert with_task_names(renamed, str.lower) == rule
    assert encode(rule) == before


def test_conditions_have_their_known_json() -> None:
    assert task_success("a") == {"type": "TaskSuccess", "task_name": "a"}
    assert task_failed("a") == {"type": "TaskFailed", "task_name": "a"}
    assert task_skipped("a") == {"type": "TaskSkipped", "task_name": "a"}
    assert always() == {"type": "Always"}
    assert context_value("k", ">", 3) == {
        "type": "ContextValue",
        "key": "k",
        "operator": "GreaterThan",
        "value": 3,
    }
    assert all_of(task_success("a")) == {"type": "All", "conditions": [task_success("a")]}
    assert any_of() == {"type": "Any", "conditions": []}
    assert none_of() == {"type": "None", "conditions": []}


def test_operators_between_rules_build_groups() -> None:
    a, b = task_success("a"), task_failed("b")
    assert a & b == all_of(a, b)
    assert a | b == any_of(a, b)
    assert ~a == none_of(a)
    assert dict(a) | b == any_of(a, b), "a plain dict on the left works too"
    assert dict(a) & b == all_of(a, b)
    assert isinstance(a & b | ~a, Rule)


def test_combining_in_place_does_not_merge_dicts() -> None:
    first = rule = task_success("a")
    rule |= task_failed("b")
    assert rule == any_of(task_success("a"), task_failed("b"))
    rule &= always()
    assert rule["type"] == "All"
    assert first == task_success("a")


SPELLINGS = [
    (spelling, name) for name, others in OPERATORS.items() for spelling in (name, *others)
] + [
    ("not_in", "NotIn"),
    ("NOT_CONTAINS", "NotContains"),
    ("not_exists", "NotExists"),
    ("greater_than", "GreaterThan"),
    ("EQ", "Equals"),
    ("in", "In"),
]


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS)
def test_every_spelling_of_an_operator_becomes_the_canonical_one(spelling: str, name: str) -> None:
    assert context_value("k", spelling, [])["operator"] == name


def test_only_exists_and_not_exists_go_without_a_value() -> None:
    assert context_value("k", "exists")["value"] is None
    assert context_value("k", "not_exists")["operator"] == "NotExists"
    assert context_value("k", "==", None)["value"] is None
    with pytest.raises(InvalidRuleError, match=r"\$\.value is missing"):
        context_value("k", "==")


def test_a_rule_keeps_its_own_copy_of_a_value() -> None:
    allowed = ["a"]
    rule = context_value("k", "in", allowed)
    allowed.append("b")
    assert rule["value"] == ["a"]


def test_a_bare_condition_is_wrapped() -> None:
    assert parse_rule({"type": "TaskSuccess", "task_name": "a"}) == all_of(task_success("a"))
    assert parse_rule({"type": "Always"}) == always()


def test_the_conditional_form_is_read_at_any_depth() -> None:
    raw = {
        "type": "Conditional",
        "condition": {"field": "k", "operator": "gt", "value": 1},
    }
    assert parse_rule(raw) == all_of(context_value("k", ">", 1))
    assert parse_rule({"type": "Any", "conditions": [raw]}) == any_of(context_value("k", ">", 1))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("always", "$ must be an object, not a string"),
        ({}, "$.type is missing"),
        ({"type": "Sometimes"}, "$.type must be one of Always, All,"),
        ({"type": "Always", "x": 1}, "$.x is not a known key"),
        ({"type": "All"}, "$.conditions is missing"),
        ({"type": "All", "conditions": "a"}, "$.conditions must be an array"),
        ({"type": "Any", "conditions": [{"type": "All"}]}, "$.conditions[0].conditions is missing"),
        ({"type": "TaskFailed", "task_name": ""}, "$.task_name must be the name of a task"),
        ({"type": "TaskFailed", "task_name": 1}, "$.task_name must be a string"),
        ({"type": "ContextValue", "key": "k", "operator": "~", "value": 1}, "'~', which is no op"),
        ({"type": "ContextValue", "operator": "exists"}, "$.key is missing"),
        (
            {"type": "ContextValue", "key": "k", "operator": "in", "value": 1},
            "$.value must be an array or a string",
        ),
        (
            {"type": "ContextValue", "key": "k", "operator": "==", "value": [object()]},
            "$.value[0] is of type object",
        ),
        ({"type": "Conditional", "condition": {"field": "k"}}, "$.condition.operator is missing"),
    ],
)
def test_a_malformed_rule_is_refused_with_its_path(raw: object, problem: str) -> None:
    with pytest.raises(InvalidRuleError) as caught:
        parse_rule(raw)
    assert any(problem in found for found in caught.value.problems), caught.value.problems


def test_every_problem_of_a_rule_is_collected() -> None:
    with pytest.raises(InvalidRuleError) as caught:
        parse_rule(
            {"type": "All", "conditions": [1, {"type": "x"}, {"type": "TaskFailed"}], "y": 0}
        )
    assert len(caught.value.problems) == 4


def test_an_unknown_operator_lists_the_known_ones() -> None:
    with pytest.raises(InvalidRuleError, match=r"GreaterOrEqual/>=/ge/gte"):
        context_value("k", "=>", 1)


def test_nesting_has_a_limit() -> None:
    rule: dict[str, JsonValue] = {"type": "Always"}
    for _ in range(MAX_NESTING - 1):
        rule = {"type": "All", "conditions": [rule]}
    assert parse_rule(rule) == rule
    with pytest.raises(InvalidRuleError, match="levels deep"):
        parse_rule({"type": "All", "conditions": [rule]})


@pytest.mark.parametrize("operator", ["==", "in", "contains"])
def test_a_value_that_is_missing_is_one_problem(operator: str) -> None:
    with pytest.raises(InvalidRuleError) as caught:
        context_value("k", operator)
    assert caught.value.problems == ("$.value is missing",)
