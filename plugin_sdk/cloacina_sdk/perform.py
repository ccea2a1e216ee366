"""Run a task's body on a context and tell what it changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.json_text import decode
from cloacina_sdk.mapped import Element, result_of
from cloacina_sdk.outcome import absorb
from cloacina_sdk.verdict import judge, note_left


def perform(
    body: Callable[..., object], texts: Mapping[str, str], element: Element | None = None
) -> Changes:
    """Call a body with a context of its own made from `texts` (key to JSON text).

    Args:
        body: takes the context and, if its task is mapped, the element.
        texts: the merged context.
        element: what the body of a mapped task runs for; the change is its result then.

    Raises:
        InvalidReturnError: if it returns what a task may not return.
        MappedContextChangedError: if the body of a mapped task changes its context.
        InvalidContextValueError: if JSON cannot hold what it returns or stores.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    try:
        returned = body(context, *_arguments(element))
        return _changes(returned, context, texts, element)
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise


async def perform_async(
    body: Callable[..., Awaitable[object]],
    texts: Mapping[str, str],
    element: Element | None = None,
) -> Changes:
    """Await a body with a context of its own made from `texts`; see `perform`."""
    context = Context.from_texts(texts)
    try:
        returned = await body(context, *_arguments(element))
        return _changes(returned, context, texts, element)
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise


def _arguments(element: Element | None) -> tuple[Any, ...]:
    return () if element is None else (decode(element.text),)


def _changes(
    returned: object, context: Context, texts: Mapping[str, str], element: Element | None
) -> Changes:
    if element is not None:
        return result_of(returned, context, texts, element)
    return Changes.between(texts, absorb(returned, context).texts())
