"""Mapped tasks as they are written, described and performed."""

import asyncio

import pytest

from cloacina_sdk import Context, task
from cloacina_sdk.assembly import assemble
from cloacina_sdk.definition import TaskDefinition
from cloacina_sdk.errors import (
    InvalidContextValueError,
    InvalidDefinitionError,
    InvalidDocumentError,
    MappedContextChangedError,
)
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.mapped import Element, Mapped
from cloacina_sdk.perform import perform, perform_async
from cloacina_sdk.spec import TaskSpec

ELEMENT = Element(index=3, text='{"a":1}', result_key="out")


def a_spec(**options: object) -> TaskSpec:
    @task(id="fetch", **options)  # type: ignore[call-overload,untyped-decorator]  # options of a test
    def fetch(context: Context, item: JsonValue) -> None: ...

    definition = TaskDefinition.of(fetch)
    assert definition is not None
    return assemble("w", [definition]).spec.tasks[0]


def test_a_mapped_task_says_so_and_names_where_its_results_are() -> None:
    assert a_spec(map_over="urls").mapped == Mapped(over="urls")
    assert a_spec(map_over="urls").result_key == "fetch"
    spec = a_spec(map_over="urls", map_into="pages", max_parallel=4)
    assert (spec.mapped, spec.result_key) == (
        Mapped(over="urls", into="pages", max_parallel=4),
        "pages",
    )


def test_a_description_comes_back_and_that_of_other_tasks_does_not_change() -> None:
    spec = a_spec(map_over="urls", map_into="pages", max_parallel=4)
    assert TaskSpec.from_document(spec.to_document()) == spec

    @task(id="plain")
    def plain(context: Context) -> None: ...

    definition = TaskDefinition.of(plain)
    assert definition is not None
    document = assemble("w", [definition]).spec.tasks[0].to_document()
    assert document.keys().isdisjoint({"map_over", "map_into", "max_parallel"})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"map_over": ""}, "map_over is a key of the context, not ''"),
        ({"map_over": 3}, "map_over is a key of the context, not 3"),
        ({"map_over": "\ud800"}, "map_over"),
        ({"map_over": "a", "map_into": ""}, "map_into is a key"),
        ({"map_over": "a", "max_parallel": 0}, "max_parallel must be a whole number from 1"),
        ({"map_over": "a", "max_parallel": True}, "not True"),
        ({"map_over": "a", "max_parallel": 1.5}, "not 1.5"),
        ({"map_into": "b"}, "map_into= says something of map_over=: give both"),
        ({"max_parallel": 2}, "max_parallel= says something of map_over=: give both"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises((InvalidDefinitionError, InvalidContextValueError), match=complaint):
        a_spec(**options)


def test_the_body_takes_the_context_and_the_element() -> None:
    with pytest.raises(InvalidDefinitionError, match=r"def alone\(context, item\)"):

        @task(map_over="urls")
        def alone(context: Context) -> None: ...


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"map_into": "x"}, r"\$.map_into needs map_over"),
        ({"map_over": "a", "max_parallel": 0}, r"\$.max_parallel must be 1 to"),
        ({"map_over": "", "map_into": "x"}, "must not be empty"),
        ({"map_over": 7}, r"\$.map_over must be a string"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(
    members: dict[str, JsonValue], complaint: str
) -> None:
    document = a_spec(map_over="a").to_document()
    del document["map_over"]
    with pytest.raises(InvalidDocumentError, match=complaint):
        TaskSpec.from_document({**document, **members})


def test_what_the_body_returns_is_the_result_of_the_element() -> None:
    def body(context: Context, item: JsonValue) -> JsonValue:
        return [item, context["x"]]

    async def later(context: Context, item: JsonValue) -> JsonValue:
        return body(context, item)

    changes = perform(body, {"x": "2"}, ELEMENT)
    assert (changes.assigned, changes.removed) == ({"out": '[{"a":1},2]'}, frozenset())
    assert asyncio.run(perform_async(later, {"x": "2"}, ELEMENT)) == changes


def test_a_body_that_changes_the_context_is_refused_and_told_which_keys() -> None:
    def body(context: Context, item: JsonValue) -> None:
        context["y"] = item
        del context["x"]

    with pytest.raises(MappedContextChangedError, match=r"\('x', 'y'\)") as caught:
        perform(body, {"x": "2"}, ELEMENT)
    assert caught.value.keys == ("x", "y")


def test_a_body_that_returns_a_coroutine_is_refused() -> None:
    async def later() -> None: ...

    def body(context: Context, item: JsonValue) -> object:
        return later()

    with pytest.raises(InvalidContextValueError, match="coroutine"):
        perform(body, {}, ELEMENT)
