"""Run a task's body on a context and tell what it changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.json_text import JsonValue, decode
from cloacina_sdk.mapped import Element, result_of
from cloacina_sdk.outcome import absorb


def perform(body: Callable[[Context], object], texts: Mapping[str, str]) -> Changes:
    """Call a body with a context of its own made from `texts` (key to JSON text).

    Raises:
        InvalidReturnError: if it returns what a task may not return.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    after = absorb(body(context), context)
    return Changes.between(texts, after.texts())


async def perform_async(
    body: Callable[[Context], Awaitable[object]], texts: Mapping[str, str]
) -> Changes:
    """Await a body with a context of its own made from `texts` (key to JSON text).

    Raises:
        InvalidReturnError: if it returns what a task may not return.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    after = absorb(await body(context), context)
    return Changes.between(texts, after.texts())


def perform_element(
    body: Callable[[Context, JsonValue], object], texts: Mapping[str, str], element: Element
) -> Changes:
    """Call the body of a mapped task for one element; the change is the element's result.

    Raises:
        MappedContextChangedError: if it changes its context.
        InvalidContextValueError: if JSON cannot hold what it returns.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    return result_of(body(context, decode(element.text)), context, texts, element)


async def perform_element_async(
    body: Callable[[Context, JsonValue], Awaitable[object]],
    texts: Mapping[str, str],
    element: Element,
) -> Changes:
    """Await the body of a mapped task for one element (see `perform_element`)."""
    context = Context.from_texts(texts)
    return result_of(await body(context, decode(element.text)), context, texts, element)
