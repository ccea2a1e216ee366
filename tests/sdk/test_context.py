"""Contexts."""

import copy
import json
import pickle
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.context import Context
from cloacina_sdk.errors import (
    ContextKeyError,
    ContextKeyExistsError,
    InvalidContextValueError,
    InvalidJsonError,
)
from cloacina_sdk.json_text import JsonValue

NUMBERS = st.dictionaries(st.text("abcdé ", max_size=3), st.lists(st.integers()))


def test_a_value_that_was_read_is_a_copy() -> None:
    numbers = [1]
    context = Context({"a": numbers})
    numbers.append(2)
    read = context["a"]
    assert isinstance(read, list)
    read.append(3)
    assert context["a"] == [1]


def test_a_stored_null_is_none_and_present() -> None:
    context = Context({"a": None})
    assert context["a"] is None
    assert "a" in context
    assert context.get("a", "default") is None
    assert context.pop("a", "default") is None
    assert len(context) == 0


def test_get_returns_the_default_itself() -> None:
    default = object()
    assert Context().get("missing", default) is default
    assert Context().get("missing") is None


@pytest.mark.parametrize(
    "read",
    [
        lambda context: context["x"],
        lambda context: context.pop("x"),
        lambda context: context.__delitem__("x"),
        lambda context: context.update("x", 1),
    ],
)
def test_a_missing_key_is_named_with_the_keys_there_are(read: object) -> None:
    assert callable(read)
    with pytest.raises(ContextKeyError) as caught:
        read(Context({"a": 1, "b": 2}))
    assert caught.value.key == "x"
    assert str(caught.value) == "Key not found: 'x'; the context holds 'a', 'b'"
    assert isinstance(caught.value, KeyError)


def test_insert_refuses_a_key_that_is_there_even_with_the_same_value() -> None:
    context = Context()
    context.insert("a", 1)
    with pytest.raises(ContextKeyExistsError, match="Key already exists: 'a'"):
        context.insert("a", 1)
    with pytest.raises(ValueError, match="Key already exists"):
        context.insert("a", 2)
    assert context["a"] == 1


def test_update_takes_one_existing_key_or_a_mapping() -> None:
    context = Context({"a": 1})
    context.update("a", 2)
    context.update({"b": 3}, c=4)
    context.update([("d", 5)])
    context.update(Context({"e": 6}))
    context.update(f=7)
    assert context == {"a": 2, "b": 3, "c": 4, "d": 5, "e": 6, "f": 7}


def test_arguments_may_be_named() -> None:
    context = Context({"a": 1})
    untyped: Any = context
    assert context.get("a", default=2) == 1
    assert context.get("k", default=2) == 2
    assert context.get(key="k", default="d") == "d"
    assert context.pop("k", default=3) == 3
    assert context.setdefault("s", default=4) == 4
    context.update(key="a", value=5)
    untyped.update("s", value=6)
    assert context == {"a": 5, "s": 6}
    with pytest.raises(ContextKeyError):
        context.update(key="k", value=1)
    context.update(key="x", other=1)
    context.update({}, key="y", value=2)
    assert context == {"a": 5, "s": 6, "key": "y", "other": 1, "value": 2}
    with pytest.raises(InvalidContextValueError, match="not as both"):
        untyped.update("a", 1, b=2)


@pytest.mark.parametrize("wrong", [[1], "abc", 5, [], "", 0])
def test_only_a_mapping_makes_a_context(wrong: Any) -> None:
    with pytest.raises(InvalidContextValueError, match="the content must be a mapping such as"):
        Context(wrong)
    with pytest.raises(InvalidContextValueError, match="the content must be a mapping"):
        Context().update_from_dict(wrong)
    if wrong:
        with pytest.raises(InvalidContextValueError, match="the content must be a mapping or"):
            Context().update(wrong)


def test_a_failed_update_stores_nothing() -> None:
    context = Context({"a": 1})
    with pytest.raises(InvalidContextValueError, match=r"\$\.c"):
        context.update_from_dict({"b": 2, "c": object()})  # type: ignore[dict-item]  # on purpose
    assert context == {"a": 1}


def test_a_value_that_is_no_json_is_refused_with_its_path() -> None:
    context = Context()
    with pytest.raises(InvalidContextValueError, match=r"\$\.a\[1\]\.b is of type set"):
        context["a"] = [0, {"b": {1}}]  # type: ignore[dict-item]  # on purpose
    with pytest.raises(InvalidContextValueError, match="keys must be strings"):
        Context({1: 2})  # type: ignore[dict-item]  # on purpose
    with pytest.raises(InvalidContextValueError, match="lone surrogate"):
        context.set("\ud800", 1)


def test_remove_and_pop_and_setdefault_and_popitem() -> None:
    context = Context({"a": [1], "b": 2})
    assert context.remove("a") == [1]
    assert context.remove("a") is None
    assert context.setdefault("c", 3) == 3
    assert context.setdefault("c", 4) == 3
    assert context.popitem() == ("c", 3)
    assert list(context) == ["b"]
    context.clear()
    assert not context
    with pytest.raises(KeyError):
        context.popitem()


@given(NUMBERS)
def test_a_context_behaves_as_the_dict_it_was_made_of(data: dict[str, JsonValue]) -> None:
    context = Context(data)
    assert context == data
    assert data == context
    assert dict(context) == data
    assert context.to_dict() == data
    assert list(context) == list(data)
    assert list(context.items()) == list(data.items())
    assert list(context.values()) == list(data.values())
    assert len(context) == len(data)
    assert isinstance(context, Mapping)


@given(NUMBERS)
def test_every_way_out_and_back_keeps_the_content(data: dict[str, JsonValue]) -> None:
    context = Context(data)
    assert json.loads(context.to_json()) == data
    assert Context.from_json(context.to_json()) == context
    assert Context.from_texts(context.texts()) == context
    assert pickle.loads(pickle.dumps(context)) == context  # noqa: S301 - written a moment ago
    assert copy.deepcopy(context) == context
    assert repr(context) == f"Context({context.to_json()})"


def test_copies_do_not_share_changes() -> None:
    context = Context({"a": 1})
    texts = context.texts()
    for other in (context.copy(), copy.copy(context), Context(context), Context.from_texts(texts)):
        other["a"] = 2
    assert context == {"a": 1}
    assert texts == {"a": "1"}


def test_contexts_are_equal_whatever_the_order_of_keys_inside() -> None:
    assert Context({"a": {"x": 1, "y": 2}}) == Context({"a": {"y": 2, "x": 1}})
    assert Context({"a": 1}) != Context({"a": 2})
    assert Context({"a": 1}) != {"a": 1, "b": 1}
    assert Context() != []


@pytest.mark.parametrize("text", ["[1]", "null", '"a"', "{", "", '{"a":NaN}'])
def test_only_the_text_of_an_object_makes_a_context(text: str) -> None:
    with pytest.raises(InvalidJsonError):
        Context.from_json(text)


def test_several_threads_may_write_while_others_read() -> None:
    context = Context()
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def write(name: str) -> None:
        try:
            together.wait(10)
            for number in range(300):
                context[f"{name}{number}"] = number
                context.update_from_dict({f"{name}x": number, f"{name}y": number})
                assert context.remove(f"{name}{number}") == number
                list(context)
                context.to_json()
                context.to_dict()
        except BaseException as error:  # noqa: BLE001 - the thread that joins reports it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert set(context) == {f"{name}{letter}" for name in "abcd" for letter in "xy"}


def test_of_many_threads_exactly_one_inserts_a_key() -> None:
    for _ in range(50):
        context = Context()
        inserted: list[int] = []
        together = threading.Barrier(4)

        def insert(
            number: int,
            context: Context = context,
            inserted: list[int] = inserted,
            together: threading.Barrier = together,
        ) -> None:
            together.wait(10)
            try:
                context.insert("a", number)
            except ContextKeyExistsError:
                return
            inserted.append(number)

        threads = [threading.Thread(target=insert, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [context["a"]] == inserted
