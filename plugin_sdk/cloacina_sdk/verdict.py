"""Ask a task's retry predicates about an error, where the body ran, and note what they say.

The verdict is attached to the exception itself, on which it reaches whoever describes the failure.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

_ATTRIBUTE = "__cloacina_is_retry_approved__"


def judge(body: Callable[..., object], error: Exception) -> None:
    """Ask every retry predicate of a body's task about an error that the body raised.

    A predicate that raises has not said yes; the error carries a note about it.
    """
    from cloacina_sdk.definition import TaskDefinition  # noqa: PLC0415 - only a failure needs it

    task: object = body
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
