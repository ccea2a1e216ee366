"""What a function must be to be the body of a task; what is wrong with it is said by `@task`."""

from __future__ import annotations

from collections.abc import Callable

from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.injection import call_arguments, handle_parameter, signature_of


def body_of(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function that is called, of one that stands in a class."""
    return function.__func__ if isinstance(function, staticmethod) else function


def name_of(function: Callable[..., object]) -> str:
    """Return what a task is called that is made of a function.

    Raises:
        InvalidDefinitionError: if it is no function, or has no name.
    """
    name = getattr(function, "__name__", None)
    if not callable(function):
        raise InvalidDefinitionError(
            f"@task decorates a function, not {function!r}; its options are given by keyword"
        )
    if not isinstance(name, str):
        raise InvalidDefinitionError(
            f"A task made of a {type(function).__name__} has no name of its own; write @task(id=...)"
        )
    return name


def check_parameters(task_id: str, function: Callable[..., object], *, is_mapped: bool) -> bool:
    """Check that a body can be called, and return whether it takes a handle.

    Raises:
        InvalidDefinitionError: if it cannot, saying how it is called.
    """
    signature = signature_of(function)
    if signature is None:
        return False  # written in C without a signature: only a call can tell
    advice = f"the body is called with one argument, the Context: def {task_id}(context)"
    if is_mapped:
        advice = (
            "the body of a mapped task is called with two arguments, the Context and the element: "
            f"def {task_id}(context, item)"
        )
    first = next(iter(signature.parameters), None)
    if first is None:
        raise InvalidDefinitionError(f"Task {task_id!r} takes no parameter; {advice}")
    if first == "self":
        raise InvalidDefinitionError(
            f"Task {task_id!r} takes self: tasks of a @workflow class are plain functions: "
            f"drop self; {advice}"
        )
    try:
        handle = handle_parameter(function, is_mapped=is_mapped)
        arguments, named = call_arguments([None, None] if is_mapped else [None], handle, None)
        signature.bind(*arguments, **named)
    except (TypeError, InvalidDefinitionError) as error:
        raise InvalidDefinitionError(
            f"Task {task_id!r} cannot be called ({error}); {advice}"
        ) from error
    return handle is not None
