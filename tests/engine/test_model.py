"""Rules and merges as values, apart from any execution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina.model import context
from cloacina.model.context import Entry
from cloacina.model.rules import holds
from cloacina.model.states import EXECUTION_MOVES, TASK_MOVES, ExecutionStatus, TaskStatus
from cloacina.model.topology import Topology
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.rules import (
    all_of,
    always,
    any_of,
    context_value,
    none_of,
    parse_rule,
    task_failed,
    task_skipped,
    task_success,
)
from engine.graphs import a_task, a_workflow

TEXTS = {"n": "5", "word": '"hello"', "items": "[1,2,3]", "yes": "true", "nothing": "null"}


def answer(rule: object) -> bool:
    statuses = {"done": TaskStatus.COMPLETED, "broken": TaskStatus.FAILED}
    return holds(parse_rule(rule), lambda name: statuses.get(name, TaskStatus.SKIPPED), TEXTS)


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("==", "n", 5, True),
        ("==", "n", 5.0, True),
        ("==", "yes", 1, False),
        ("!=", "n", 5, False),
        ("!=", "missing", 5, True),
        ("==", "missing", None, False),
        ("==", "nothing", None, True),
        (">", "n", 4, True),
        ("<", "n", 5, False),
        (">=", "n", 5, True),
        ("<=", "n", 4, False),
        (">", "word", 1, False),
        (">", "yes", 0, False),
        ("in", "n", [4, 5], True),
        ("NotIn", "n", [4, 5], False),
        ("contains", "word", "ell", True),
        ("contains", "items", 2, True),
        ("NotContains", "items", 9, True),
        ("exists", "nothing", None, True),
        ("NotExists", "missing", None, True),
    ],
)
def test_context_conditions(operator: str, key: str, value: JsonValue, expected: bool) -> None:
    assert answer(context_value(key, operator, value)) is expected


def test_conditions_on_tasks_and_their_combinations() -> None:
    done, broken = task_success("done"), task_failed("broken")
    assert answer(all_of(done, broken, task_skipped("other")))
    assert answer(any_of(task_failed("done"), broken))
    assert answer(none_of(task_failed("done")))
    assert answer(done & ~task_success("broken"))
    assert answer(task_failed("done") | done)
    assert answer(always())
    assert answer(all_of())
    assert not answer(any_of())
    assert answer(none_of())
    assert answer({"type": "Conditional", "condition": {"field": "n", "operator": ">", "value": 1}})


def test_final_states_have_no_moves() -> None:
    assert all(not TASK_MOVES[status] for status in TaskStatus if status.is_final)
    assert all(not EXECUTION_MOVES[status] for status in ExecutionStatus if status.is_final)
    assert set(TASK_MOVES) == set(TaskStatus)
    assert set(EXECUTION_MOVES) == set(ExecutionStatus)


DIAMOND = Topology.of(
    a_workflow(a_task("h"), a_task("l", "h"), a_task("r", "h"), a_task("j", "l", "r"))
)


def test_ancestors_are_everything_before_a_task() -> None:
    assert list(DIAMOND.ancestors) == [0b0, 0b1, 0b1, 0b111]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("abc"), values)
)
def test_merging_is_deterministic_and_keeps_every_key(
    left: dict[str, JsonValue], right: dict[str, JsonValue]
) -> None:
    views = [
        {key: Entry(encode(value), writer) for key, value in side.items()}
        for writer, side in ((1, left), (2, right))
    ]
    merged = context.merge(views, DIAMOND, 3)
    assert merged == context.merge(views, DIAMOND, 3)
    assert set(context.texts_of(merged)) == left.keys() | right.keys()
    for key in left.keys() ^ right.keys():
        assert decode(context.texts_of(merged)[key]) == {**left, **right}[key]


@given(st.dictionaries(st.sampled_from("abc"), values))
def test_merging_a_branch_with_itself_changes_nothing(side: dict[str, JsonValue]) -> None:
    view = {key: Entry(encode(value), 1) for key, value in side.items()}
    assert context.merge([view, dict(view)], DIAMOND, 3) == view


def test_a_removal_gives_way_to_a_change_and_holds_against_a_pass_through() -> None:
    base = {"k": Entry("1", context.INPUT)}
    removed = {"k": Entry(None, 1)}
    changed = {"k": Entry("2", 2)}
    assert context.texts_of(context.merge([base, removed], DIAMOND, 3)) == {}
    assert context.texts_of(context.merge([removed, base], DIAMOND, 3)) == {}
    assert context.texts_of(context.merge([changed, removed], DIAMOND, 3)) == {"k": "2"}


@given(st.lists(values, min_size=1, max_size=5))
def test_combining_at_once_is_combining_one_after_another(several: list[JsonValue]) -> None:
    folded = several[0]
    for value in several[1:]:
        folded = context._combine([folded, value])
    assert encode(context._combine(several)) == encode(folded)


def test_an_array_that_one_branch_alone_wrote_keeps_its_repetitions() -> None:
    views = [{"o": Entry('{"a":[1,1]}', 1)}, {"o": Entry('{"b":[2,2]}', 2)}]
    merged = context.merge(views, DIAMOND, 3)
    assert context.texts_of(merged) == {"o": '{"a":[1,1],"b":[2,2]}'}
