"""A fingerprint of a task's code that changes when, and only when, the code does.

* It is taken of the syntax tree, so comments, docstrings and formatting do not matter; empty
  fields are left out, so the Python version does not matter either.
* What the body names in its own module is followed: functions, classes, constants and the
  imports that bind a name, and what these name in turn. Over-approximate on purpose: a local
  variable that shares the name of a helper counts as that helper.
* The `task` decorator is left out: its options are part of the task's description already.
* Without source text, bytecode's names and constants serve, and the result says so.
"""

from __future__ import annotations

import functools
import inspect
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import CodeType, FunctionType

from cloacina_sdk.json_text import JsonValue, canonical
from cloacina_sdk.syntax import constant, parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFingerprint:
    """The digest of a function's code.

    Attributes:
        digest: sha256 in 64 hexadecimal digits.
        from_source: whether it was taken of source text; bytecode's digest may differ from one
            Python version to another.
    """

    digest: str
    from_source: bool


def code_fingerprint(function: Callable[..., object]) -> CodeFingerprint:
    """Return the fingerprint of a function, a partial or an object that can be called."""
    if isinstance(function, functools.partial):
        return _of_partial(function)
    plain = _plain_function(function)
    if plain is None:
        return _digest(["builtin", _name_of(function)], from_source=False)
    from_object = not isinstance(function, FunctionType)
    described = _from_source(plain, whole_class=from_object)
    if described is not None:
        return _digest(["source", described], from_source=True)
    return _digest(["bytecode", _from_code(plain.__code__)], from_source=False)


def _of_partial(partial: functools.partial[object]) -> CodeFingerprint:
    inner = code_fingerprint(partial.func)
    given = [[name, constant(value)] for name, value in sorted(partial.keywords.items())]
    positional = [constant(value) for value in partial.args]
    return _digest(["partial", inner.digest, positional, given], from_source=inner.from_source)


def _plain_function(function: object) -> FunctionType | None:
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004 - the function is wanted, not the answer
        plain = getattr(candidate, "__func__", candidate)  # a bound method's function
        if callable(plain):
            plain = inspect.unwrap(plain)
        if isinstance(plain, FunctionType):
            return plain
    return None


def _from_source(function: FunctionType, *, whole_class: bool) -> list[JsonValue] | None:
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    module = parsed("".join(lines))
    if module is None:
        return None
    code = function.__code__
    return module.describe(code.co_name, code.co_firstlineno, whole_class=whole_class)


def _from_code(code: CodeType) -> list[JsonValue]:
    constants: list[JsonValue] = [
        _from_code(value) if isinstance(value, CodeType) else constant(value)
        for value in code.co_consts
    ]
    names = [*code.co_names, "", *code.co_varnames, "", *code.co_freevars]
    return [code.co_name, names, constants]


def _name_of(function: object) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"


def _digest(described: Sequence[JsonValue], *, from_source: bool) -> CodeFingerprint:
    digest = sha256(canonical(described)).hexdigest()
    return CodeFingerprint(digest=digest, from_source=from_source)
