"""Which parameter of a task's function takes the handle.

* It stands behind the context and, where the task is mapped, the element.
* It is called `handle` or `task_handle`, or is annotated as a handle.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from cloacina_sdk.errors import InvalidDefinitionError

T = TypeVar("T")

NAMES = ("handle", "task_handle")
SYNC, ASYNC = "TaskHandle", "AsyncTaskHandle"

_SIGNATURE_OPTIONS: dict[str, Any] = {}
if sys.version_info >= (3, 14):
    import annotationlib

    # Annotations that only a type checker can evaluate must not matter here.
    _SIGNATURE_OPTIONS["annotation_format"] = annotationlib.Format.FORWARDREF

_HOMES = {SYNC: "cloacina_sdk.handle", ASYNC: "cloacina_sdk.async_handle"}
_DOTTED = re.compile(r"(?:[^\W\d]\w*\.)*[^\W\d]\w*")
_OPTIONAL = re.compile(r"\s*\|\s*None\s*$|^\s*None\s*\|\s*")


def signature_of(function: Callable[..., object]) -> inspect.Signature | None:
    """Return the signature of a function; None where it was written in C without one."""
    try:
        return inspect.signature(function, **_SIGNATURE_OPTIONS)
    except (TypeError, ValueError):
        return None


def is_async(function: object) -> bool:
    """Whether a function, or an object that can be called, is awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
    )


def handle_parameter(
    function: Callable[..., object], *, is_mapped: bool
) -> inspect.Parameter | None:
    """Return the parameter that takes the handle, if there is one.

    Raises:
        InvalidDefinitionError: if there are several, or one that no handle can be given to.
    """
    signature = signature_of(function)
    if signature is None:
        return None
    names = _names_of_module(function)
    before = 2 if is_mapped else 1
    found: list[inspect.Parameter] = []
    for place, parameter in enumerate(_fillable(function, signature)):
        kind = _kind(parameter, names)
        if place < before and parameter.kind is not parameter.KEYWORD_ONLY:
            _refuse_early(parameter, kind, place)
        elif kind or parameter.name in NAMES:
            _refuse_other_kind(function, parameter, kind)
            found.append(parameter)
    if len(found) > 1:
        several = " and ".join(repr(parameter.name) for parameter in found)
        raise InvalidDefinitionError(f"There is one handle, but {several} take one each")
    return found[0] if found else None


def call_arguments(
    arguments: Sequence[T], parameter: inspect.Parameter | None, handle: T
) -> tuple[list[T], dict[str, T]]:
    """Return the positional and the named arguments of a body that takes a handle, or none."""
    if parameter is None:
        return list(arguments), {}
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return [*arguments, handle], {}
    return list(arguments), {parameter.name: handle}


def _fillable(
    function: Callable[..., object], signature: inspect.Signature
) -> Iterator[inspect.Parameter]:
    given = function.keywords if isinstance(function, functools.partial) else {}
    for parameter in signature.parameters.values():
        is_variable = parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        if not is_variable and parameter.name not in given:
            yield parameter


def _refuse_early(parameter: inspect.Parameter, kind: str, place: int) -> None:
    if kind or (place == 1 and parameter.name in NAMES):
        first = "the Context comes first" + (", then the element" if place == 1 else "")
        raise InvalidDefinitionError(
            f"The parameter {parameter.name!r} is to take the handle, but {first}"
        )


def _refuse_other_kind(
    function: Callable[..., object], parameter: inspect.Parameter, kind: str
) -> None:
    wanted = ASYNC if is_async(function) else SYNC
    if kind not in {"", wanted}:
        raise InvalidDefinitionError(
            f"The parameter {parameter.name!r} is annotated as {kind}, but "
            f"{'an async' if wanted == ASYNC else 'a sync'} body gets {wanted}"
        )


def _kind(parameter: inspect.Parameter, names: Mapping[str, object]) -> str:
    """Return which handle an annotation means, or ""."""
    annotation = parameter.annotation
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str):
        return _kind_of_text(_OPTIONAL.sub("", text).strip(), names)
    several = [annotation, *get_args(annotation)]  # X | None
    return next((kind for each in several if (kind := _kind_of_class(each))), "")


def _kind_of_text(text: str, names: Mapping[str, object]) -> str:
    if not _DOTTED.fullmatch(text):
        return ""
    first, *rest = text.split(".")
    if first in names:
        found = functools.reduce(lambda value, name: getattr(value, name, None), rest, names[first])
        return _kind_of_class(found)
    last = text.rpartition(".")[2]  # imported where only type checkers see it
    return last if last in _HOMES else ""


def _kind_of_class(given: object) -> str:
    name = getattr(given, "__qualname__", "")
    return name if _HOMES.get(name) == getattr(given, "__module__", None) else ""


def _names_of_module(function: Callable[..., object]) -> Mapping[str, object]:
    while isinstance(function, functools.partial):
        function = function.func
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not hasattr(plain, "__globals__"):
        plain = getattr(type(plain), "__call__", None)  # noqa: B004 - the function is wanted
    return getattr(plain, "__globals__", {})
