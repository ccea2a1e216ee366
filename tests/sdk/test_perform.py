"""Running a body on a context and telling what it changed."""

import asyncio

import pytest

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.errors import InvalidReturnError
from cloacina_sdk.perform import perform, perform_async


def test_changes_in_place_count_when_nothing_is_returned() -> None:
    def body(context: Context) -> None:
        context["a"] = 2
        del context["b"]

    changes = perform(body, {"a": "1", "b": "1", "c": "1"})
    assert changes == Changes(assigned={"a": "2"}, removed=frozenset({"b"}))


def test_a_returned_mapping_is_merged_in() -> None:
    changes = perform(lambda _: {"d": [1]}, {"a": "1"})
    assert changes == Changes(assigned={"d": "[1]"}, removed=frozenset())


def test_a_returned_context_is_the_output() -> None:
    changes = perform(lambda _: Context({"only": True}), {"a": "1"})
    assert changes == Changes(assigned={"only": "true"}, removed=frozenset({"a"}))


def test_the_given_texts_stay_as_they_were() -> None:
    texts = {"a": "1"}
    perform(lambda context: context.update({"a": 2}), texts)
    assert texts == {"a": "1"}


def test_anything_else_is_refused() -> None:
    with pytest.raises(InvalidReturnError):
        perform(lambda _: 7, {})


def test_an_async_body_is_awaited() -> None:
    async def body(context: Context) -> None:
        await asyncio.sleep(0)
        context["a"] = 1

    assert asyncio.run(perform_async(body, {})).assigned == {"a": "1"}
