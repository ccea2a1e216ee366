"""Run a task's body on a context and tell what it changed, or what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.injection import call_arguments, handle_parameter
from cloacina_sdk.json_text import decode
from cloacina_sdk.mapped import Element, result_of
from cloacina_sdk.outcome import absorb
from cloacina_sdk.unwinding import Deferred
from cloacina_sdk.verdict import judge, note_left
from cloacina_sdk.waiting import Wait

if TYPE_CHECKING:  # few tasks take one
    from cloacina_sdk.any_handle import AnyHandle
    from cloacina_sdk.async_handle import AsyncTaskHandle
    from cloacina_sdk.handle import TaskHandle

_Arguments: TypeAlias = tuple[list[Any], dict[str, Any]]


@overload
def perform(
    body: Callable[..., object],
    texts: Mapping[str, str],
    element: Element | None = None,
    handle: None = None,
) -> Changes: ...
@overload
def perform(
    body: Callable[..., object],
    texts: Mapping[str, str],
    element: Element | None,
    handle: TaskHandle | None,
) -> Changes | Wait: ...


def perform(
    body: Callable[..., object],
    texts: Mapping[str, str],
    element: Element | None = None,
    handle: TaskHandle | None = None,
) -> Changes | Wait:
    """Call a body with a context of its own made from `texts` (key to JSON text).

    Args:
        body: takes the context and, if its task is mapped, the element.
        texts: the merged context.
        element: what the body of a mapped task runs for; the change is its result then.
        handle: of a body that takes one. With it, the body may end its run to wait.

    Raises:
        InvalidReturnError: if it returns what a task may not return.
        MappedContextChangedError: if the body of a mapped task changes its context.
        InvalidContextValueError: if JSON cannot hold what it returns or stores.
        ChangedCourseError: if it waits for something else than an earlier run did.
        SwallowedDeferralError: if it goes on after its run ended to wait.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    try:
        arguments, named = _arguments(body, context, element, handle)
        with _running(handle):
            returned = body(*arguments, **named)
        return _changes(returned, context, texts, element)
    except Deferred as deferral:
        if handle is None:
            raise
        return deferral.wait
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise


@overload
async def perform_async(
    body: Callable[..., Awaitable[object]],
    texts: Mapping[str, str],
    element: Element | None = None,
    handle: None = None,
) -> Changes: ...
@overload
async def perform_async(
    body: Callable[..., Awaitable[object]],
    texts: Mapping[str, str],
    element: Element | None,
    handle: AsyncTaskHandle | None,
) -> Changes | Wait: ...


async def perform_async(
    body: Callable[..., Awaitable[object]],
    texts: Mapping[str, str],
    element: Element | None = None,
    handle: AsyncTaskHandle | None = None,
) -> Changes | Wait:
    """Await a body with a context of its own made from `texts`; see `perform`."""
    context = Context.from_texts(texts)
    try:
        arguments, named = _arguments(body, context, element, handle)
        with _running(handle):
            returned = await body(*arguments, **named)
        return _changes(returned, context, texts, element)
    except Deferred as deferral:
        if handle is None:
            raise
        return deferral.wait
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise


def _arguments(
    body: Callable[..., object],
    context: Context,
    element: Element | None,
    handle: AnyHandle | None,
) -> _Arguments:
    arguments = [context, *([] if element is None else [decode(element.text)])]
    if handle is None:
        return arguments, {}
    parameter = handle_parameter(body, is_mapped=element is not None)
    return call_arguments(arguments, parameter, handle)


def _running(handle: AnyHandle | None) -> AbstractContextManager[None]:
    return nullcontext() if handle is None else handle.running()


def _changes(
    returned: object, context: Context, texts: Mapping[str, str], element: Element | None
) -> Changes:
    if element is not None:
        return result_of(returned, context, texts, element)
    return Changes.between(texts, absorb(returned, context).texts())
