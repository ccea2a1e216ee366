"""Concurrency keys and rates as they are written and described."""

import pytest

from cloacina_sdk import Context, RateLimit, task
from cloacina_sdk.assembly import assemble
from cloacina_sdk.definition import TaskDefinition
from cloacina_sdk.errors import InvalidDefinitionError, InvalidDocumentError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.throttle import Throttle, UnknownKeyError


def a_spec(**options: object) -> TaskSpec:
    @task(id="call", **options)  # type: ignore[call-overload,untyped-decorator]  # options of a test
    def call(context: Context) -> None: ...

    definition = TaskDefinition.of(call)
    assert definition is not None
    return assemble("w", [definition]).spec.tasks[0]


def test_what_limits_a_task_comes_back_from_its_document() -> None:
    spec = a_spec(concurrency_key="api", max_concurrent=3, rate_limit="10/s")
    assert spec.throttle == Throttle(key="api", max_concurrent=3, rate=RateLimit(10, "s"))
    assert TaskSpec.from_document(spec.to_document()) == spec
    assert a_spec(concurrency_key="api").throttle == Throttle(key="api", max_concurrent=1)
    assert a_spec(rate_limit=RateLimit(5, "m")).to_document()["rate_limit"] == "5/m"
    plain = a_spec().to_document()
    assert plain.keys().isdisjoint({"concurrency_key", "max_concurrent", "rate_limit"})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_concurrent": 2}, "give both"),
        ({"concurrency_key": ""}, "a text that is not empty"),
        ({"concurrency_key": 7}, "a text that is not empty"),
        ({"concurrency_key": "a{"}, "cannot be read"),
        ({"concurrency_key": "a{}"}, "must name a key of the context"),
        ({"concurrency_key": "a{b:>3}"}, "must name a key of the context"),
        ({"concurrency_key": "a{b!r}"}, "must name a key of the context"),
        ({"concurrency_key": "a", "max_concurrent": 0}, "from 1 to"),
        ({"concurrency_key": "a", "max_concurrent": True}, "not True"),
        ({"rate_limit": "10"}, "is no rate"),
        ({"rate_limit": "0/s"}, "is no rate"),
        ({"rate_limit": "1/w"}, "is no rate"),
        ({"rate_limit": 10}, "takes a RateLimit or text"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=complaint):
        a_spec(**options)


@pytest.mark.parametrize(("count", "per"), [(0, "s"), (1, "x"), (True, "s"), (2_000_000, "s")])
def test_rates_out_of_range_are_refused(count: int, per: str) -> None:
    with pytest.raises(InvalidDefinitionError):
        RateLimit(count, per)


@pytest.mark.parametrize(
    "members",
    [
        {"max_concurrent": 2},
        {"concurrency_key": "a{"},
        {"rate_limit": "often"},
        {"rate_limit": 3},
    ],
)
def test_a_document_that_makes_no_sense_is_refused(members: dict[str, JsonValue]) -> None:
    with pytest.raises(InvalidDocumentError):
        TaskSpec.from_document({**a_spec().to_document(), **members})


def test_a_key_is_filled_from_the_context() -> None:
    throttle = Throttle(key="api-{user}-{n}-{{x}}")
    assert throttle.key_for({"user": '"ann"', "n": "7", "other": "[]"}) == "api-ann-7-{x}"
    assert Throttle(key="a.b").key_for({}) == "a.b"
    assert Throttle().key_for({}) is None


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        ({"y": "1"}, "needs 'x', but the context holds 'y'"),
        ({}, "the context holds no keys"),
        ({"x": "[1]"}, "a string or a number, but it is an array"),
        ({"x": "null"}, "but it is null"),
        ({"x": '""'}, "has 0 characters"),
        ({"x": f'"{"x" * 301}"'}, "has 301 characters"),
        ({"x": '"\\u0000"'}, "no NUL"),
    ],
)
def test_a_key_that_cannot_be_filled_says_why(texts: dict[str, str], complaint: str) -> None:
    with pytest.raises(UnknownKeyError, match=complaint):
        Throttle(key="{x}").key_for(texts)
