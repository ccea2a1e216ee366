"""What changed between two contexts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.errors import InvalidDocumentError, InvalidJsonError

TEXTS = st.builds(
    lambda data: Context(data).texts(),
    st.dictionaries(
        st.text('abcé"\\', max_size=2),
        st.none() | st.integers(-3, 3) | st.lists(st.text(max_size=2), max_size=2),
        max_size=6,
    ),
)


@given(before=TEXTS, after=TEXTS)
def test_changes_turn_the_first_context_into_the_second(
    before: dict[str, str], after: dict[str, str]
) -> None:
    changes = Changes.between(before, after)
    assert changes.applied_to(before) == after
    assert changes.is_empty == (before == after)
    assert not changes.removed & changes.assigned.keys()
    unchanged = {key for key in before if before[key] == after.get(key)}
    assert not unchanged & changes.assigned.keys(), "only differences are stored"


@given(before=TEXTS, after=TEXTS)
def test_changes_come_back_from_their_json(before: dict[str, str], after: dict[str, str]) -> None:
    changes = Changes.between(before, after)
    assert Changes.from_json(changes.to_json()) == changes


def test_the_json_form_is_stable_and_keeps_the_texts() -> None:
    changes = Changes.between({"b": "1", "a": "1", "c": "1"}, {"c": "[1,2]", "d": "1.50"})
    assert changes.to_json() == '{"set":{"c":[1,2],"d":1.50},"removed":["a","b"]}'
    assert Changes.between({"a": "1"}, {"a": "1"}).to_json() == "{}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"set":{},"removed":[],"more":1}', "$.more is not a known key"),
        ('{"set":[],"removed":[1]}', "$.set must be an object, not an array"),
        ('{"set":[],"removed":[1]}', "$.removed[0] must be a string, not an integer"),
        ('{"set":{"a":1},"removed":["a"]}', "$.removed names 'a', which $.set assigns"),
        ("[]", "$ must be an object, not an array"),
    ],
)
def test_another_form_is_refused_with_every_problem(text: str, problem: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        Changes.from_json(text)
    assert problem in caught.value.problems


def test_a_text_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidJsonError):
        Changes.from_json('{"set":')


def test_changes_of_a_context_are_what_a_body_did_to_it() -> None:
    context = Context({"kept": 1, "gone": 2, "changed": {"a": 1}})
    before = context.texts()
    del context["gone"]
    context["changed"] = {"a": 2}
    context["new"] = None
    changes = Changes.between(before, context.texts())
    assert json.loads(changes.to_json()) == {
        "set": {"changed": {"a": 2}, "new": None},
        "removed": ["gone"],
    }
