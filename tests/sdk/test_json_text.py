"""JSON text rules."""

import enum
import json
import math
from collections import OrderedDict, namedtuple
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidContextValueError, InvalidJsonError
from cloacina_sdk.json_text import canonical, decode, decode_untrusted, encode, member_path

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


@given(VALUES)
def test_what_is_encoded_decodes_to_the_same_value(value: object) -> None:
    text = encode(value)
    assert decode(text) == value
    assert repr(decode(text)) == repr(value), "types are kept too: True is not 1"
    assert encode(decode(text)) == text


@given(VALUES)
def test_canonical_bytes_do_not_depend_on_the_order_of_keys(value: object) -> None:
    assert canonical(value) == canonical(_reversed(value))
    assert decode_untrusted(canonical(value)) == value


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def test_texts_are_compact_and_keep_their_characters() -> None:
    assert encode({"ä": [1, 2.5, None, True]}) == '{"ä":[1,2.5,null,true]}'
    assert canonical({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()


def test_tuples_become_lists_at_any_depth() -> None:
    point = namedtuple("point", "x y")
    assert encode({"a": (1, [(2,)]), "p": point(3, 4)}) == '{"a":[1,[[2]]],"p":[3,4]}'


def test_subclasses_of_json_types_are_written_as_their_base() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    assert encode(OrderedDict(colour=Colour.RED)) == '{"colour":"red"}'


@pytest.mark.parametrize(
    ("value", "path", "fact"),
    [
        ({"a": [0, 1, 2, {"b": {1, 2}}]}, "$.a[3].b", "type set"),
        ({"a": datetime(2024, 1, 1, tzinfo=UTC)}, "$.a", "type datetime"),
        ({"a b": (object(),)}, '$["a b"][0]', "type object"),
        ({"a": {1: "x"}}, "$.a", "has the key 1 of type int"),
        ([{None: "x"}], "$[0]", "has the key None"),
        ({True: 1}, "$", "has the key True"),
        ([math.nan], "$[0]", "is nan"),
        ({"a": -math.inf}, "$.a", "is -inf"),
        (["fine", "\ud800"], "$[1]", "lone surrogate"),
        ({"\udfff": 1}, "$", "lone surrogate"),
        ([10**5000], "$[0]", "too many digits"),
        (b"bytes", "$", "type bytes"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_path(
    value: object, path: str, fact: str
) -> None:
    with pytest.raises(InvalidContextValueError) as caught:
        encode(value)
    assert caught.value.path == path
    assert fact in caught.value.reason
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


def test_the_first_of_several_faults_is_named() -> None:
    with pytest.raises(InvalidContextValueError) as caught:
        encode({"a": [object()], "b": object()})
    assert caught.value.path == "$.a[0]"


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidContextValueError, match="contains itself"):
        encode(loop)


def test_a_value_nested_too_deeply_is_refused_in_both_directions() -> None:
    deep: object = 0
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidContextValueError, match="levels deep"):
        encode(deep)
    with pytest.raises(InvalidJsonError):
        decode("[" * 100_000)
    while isinstance(deep, list):  # taking it apart level by level spares the C stack
        deep = deep.pop()


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", '{"a":-Infinity}', "1e999", "[-1e999]", '"\\ud800"', "", "{", "[1,]"],
)
def test_texts_outside_the_rules_are_refused(text: str) -> None:
    with pytest.raises(InvalidJsonError):
        decode(text)


def test_escaped_pairs_of_surrogates_are_one_character() -> None:
    assert decode('"\\ud83d\\ude00"') == "😀"


def test_integers_are_exact_up_to_the_limit() -> None:
    number = 10**4000 + 7
    assert decode(encode(number)) == number
    with pytest.raises(InvalidJsonError):
        decode("9" * 5000)


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        (b'{"a":1,"b":{"c":1,"c":2}}', "'c' stands twice"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
    ],
)
def test_foreign_bytes_are_read_with_more_care(raw: bytes, fact: str) -> None:
    with pytest.raises(InvalidJsonError, match=fact):
        decode_untrusted(raw)


@given(TEXTS)
def test_member_paths_quote_what_is_no_plain_name(key: str) -> None:
    path = member_path("$", key)
    if path.startswith("$["):
        assert json.loads(path[2:-1]) == key
    else:
        assert path == f"$.{key}"
