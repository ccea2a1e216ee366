"""Note on an error what is known only where the body ran: what it left, what predicates say.

It is attached to the exception itself, on which it reaches whoever describes the failure.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cloacina_sdk.changes import Changes

_ATTRIBUTE = "__cloacina_is_retry_approved__"
_LEFT = "__cloacina_left__"


def judge(body: Callable[..., object], error: Exception) -> None:
    """Ask every retry predicate of a body's task about an error that the body raised.

    A predicate that raises has not said yes; the error carries a note about it.
    """
    from cloacina_sdk.definition import TaskDefinition  # noqa: PLC0415 - only a failure needs it

    task: object = body
    if is_retry_approved(error):  # judged before, on behalf of another task
        setattr(error, _ATTRIBUTE, False)
    while (definition := TaskDefinition.of(task)) is None and isinstance(task, partial):
        task = task.func
    if definition is None:
        return
    for condition in definition.retry.conditions:
        if condition.function is None:
            continue
        try:
            says_yes = bool(condition.function(error))
        except Exception as nested:  # noqa: BLE001 - the task's own predicate runs here
            error.add_note(f"the retry predicate {condition.name} raised {nested!r}")
        else:
            if says_yes:
                with suppress(AttributeError, TypeError):  # a class may forbid attributes
                    setattr(error, _ATTRIBUTE, True)


def is_retry_approved(error: BaseException) -> bool:
    """Whether a predicate said yes to an error that was judged."""
    return getattr(error, _ATTRIBUTE, False) is True


def note_left(error: Exception, changes: Changes) -> None:
    """Note what a body had changed in its context when it raised."""
    with suppress(AttributeError, TypeError):  # a class may forbid attributes
        setattr(error, _LEFT, changes)


def left_behind(error: BaseException) -> Changes | None:
    """Return what was noted, if anything was."""
    found = getattr(error, _LEFT, None)
    return found if isinstance(found, Changes) else None
