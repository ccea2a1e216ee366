"""Run a task's body on a context and tell what it changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.outcome import absorb
from cloacina_sdk.verdict import judge, note_left


def perform(body: Callable[[Context], object], texts: Mapping[str, str]) -> Changes:
    """Call a body with a context of its own made from `texts` (key to JSON text).

    Raises:
        InvalidReturnError: if it returns what a task may not return.
        Exception: whatever the body raises.
    """
    context = Context.from_texts(texts)
    try:
        after = absorb(body(context), context)
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise
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
    try:
        after = absorb(await body(context), context)
    except Exception as error:
        judge(body, error)
        note_left(error, Changes.between(texts, context.texts()))
        raise
    return Changes.between(texts, after.texts())
