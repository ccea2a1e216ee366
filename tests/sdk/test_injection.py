"""Which tasks take a handle, and how it is handed to them."""

import functools
from typing import Any, Optional

import pytest

import cloacina_sdk
from cloacina_sdk import AsyncTaskHandle, Context, TaskDefinition, TaskHandle, WorkflowBuilder, task
from cloacina_sdk.collect import Collection, collecting
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.mapped import Element
from cloacina_sdk.perform import perform
from cloacina_sdk.waiting import Memory
from sdk.ports import SyncEngine


def takes_handle(function: Any, **options: Any) -> bool:
    task(**options)(function)
    definition = TaskDefinition.of(function)
    assert definition is not None
    return definition.takes_handle


def given(body: Any, element: Element | None = None) -> object:
    """Return what a body that appends it to its list was given."""
    handle = SyncEngine().handle(Memory())
    task(map_over="xs" if element else None)(body)
    seen.clear()
    perform(body, {}, element, handle)
    assert seen == [handle]
    return seen[0]


seen: list[object] = []
ELEMENT = Element(index=0, text="7", result_key="out")


def test_a_parameter_of_the_name_takes_the_handle() -> None:
    def first(context: Context, handle: Any) -> None:
        seen.append(handle)

    def second(context: Context, task_handle: Any = None) -> None:
        seen.append(task_handle)

    def third(context: Context, *, other: int = 1, handle: Any) -> None:
        seen.append(handle)

    def fourth(context: Context, handle: Any, /) -> None:
        seen.append(handle)

    for body in (first, second, third, fourth):
        given(body)


def test_an_annotation_takes_it_whatever_the_name() -> None:
    def plain(context: Context, h: TaskHandle) -> None:
        seen.append(h)

    def text(context: Context, h: "TaskHandle") -> None:
        seen.append(h)

    def dotted(context: Context, h: "cloacina_sdk.TaskHandle") -> None:
        seen.append(h)

    def optional(context: Context, h: TaskHandle | None = None) -> None:
        seen.append(h)

    def older(context: Context, h: Optional[TaskHandle] = None) -> None:  # noqa: UP045 - as people write
        seen.append(h)

    def text_optional(context: Context, h: "TaskHandle | None" = None) -> None:
        seen.append(h)

    for body in (plain, text, dotted, optional, older, text_optional):
        given(body)


def test_an_annotation_that_only_type_checkers_can_follow_goes_by_its_name() -> None:
    def unseen(context: Context, h: Any = None) -> None: ...

    unseen.__annotations__["h"] = "theirs.TaskHandle"  # imported under TYPE_CHECKING
    assert takes_handle(unseen)
    unseen.__annotations__["h"] = "theirs.Handle"
    assert not takes_handle(unseen)


def test_mapped_tasks_get_it_behind_the_element() -> None:
    def named(context: Context, item: int, handle: TaskHandle) -> int:
        seen.append(handle)
        return item

    def variable(context: Context, *items: int, handle: TaskHandle) -> None:
        seen.append(handle)

    given(named, ELEMENT)
    given(variable, ELEMENT)


def test_other_parameters_take_none() -> None:
    class TaskHandle:
        """Somebody else's."""

    def theirs(context: Context, h: TaskHandle | None = None) -> None: ...
    def first(handle: Context) -> None: ...
    def variable(context: Context, *handle: Any, **task_handle: Any) -> None: ...
    def bound(context: Context, handle: Any) -> None: ...

    partial = functools.partial(bound, handle=5)
    for body in (theirs, first, variable):
        assert not takes_handle(body)
    assert not takes_handle(partial, id="t")


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        (lambda handle, task_handle, other: None, {}, "missing a required argument: 'other'"),
        (lambda context, handle, task_handle: None, {}, "'handle' and 'task_handle' take one each"),
        (lambda context, handle: None, {"map_over": "xs"}, "the Context comes first, then the"),
        (lambda context, item, other: None, {"map_over": "xs"}, "missing a required argument"),
    ],
)
def test_what_cannot_be_called_is_refused(body: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=reason):
        task(id="t", **options)(body)


def test_a_handle_in_place_of_the_context_is_refused() -> None:
    def body(handle: TaskHandle) -> None: ...

    with pytest.raises(InvalidDefinitionError, match="the Context comes first"):
        task(body)


def test_a_body_is_annotated_with_the_handle_of_its_kind() -> None:
    def sync(context: Context, handle: AsyncTaskHandle) -> None: ...
    async def awaited(context: Context, handle: "TaskHandle") -> None: ...
    async def right(context: Context, h: AsyncTaskHandle) -> None: ...

    with pytest.raises(InvalidDefinitionError, match="AsyncTaskHandle, but a sync body gets Task"):
        task(sync)
    with pytest.raises(InvalidDefinitionError, match="TaskHandle, but an async body gets Async"):
        task(awaited)
    assert takes_handle(right)


def test_a_wrapper_hands_it_on() -> None:
    def traced(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            return function(*arguments, **named)

        return wrapper

    @traced
    def body(context: Context, handle: TaskHandle) -> None:
        seen.append(handle)

    given(body)


def test_a_bound_method_and_an_object_take_it_too() -> None:
    class Job:
        def __call__(self, context: Context, h: "TaskHandle") -> None:
            seen.append(h)

    given_to = Job()
    task(id="job")(given_to)
    handle = SyncEngine().handle()
    seen.clear()
    perform(given_to, {}, None, handle)
    assert seen == [handle]


def test_the_description_of_a_task_says_so_and_its_version_with_it() -> None:
    def plain(context: Context, other: Any = None) -> None: ...
    def handled(context: Context, handle: Any = None) -> None: ...

    described = []
    for body in (plain, handled):
        with collecting(Collection()), WorkflowBuilder("w") as builder:
            task(id="t")(body)
        described.append(builder.build().spec.task("t"))
    assert [each.takes_handle for each in described] == [False, True]
