"""A module's syntax tree, and the description of one function in it with all it names.

* A description is JSON made of the tree without positions, docstrings, empty fields and what
  else differs between Python versions though the code is the same.
* `task` decorators are left out, other decorators stay.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from cloacina_sdk.json_text import JsonValue

_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Definitions: TypeAlias = dict[str, list[ast.AST]]


@functools.lru_cache(maxsize=8)
def parsed(source: str) -> ModuleSyntax | None:
    """Return the syntax of a module's source, or None if there is none or it is not Python."""
    try:
        return ModuleSyntax(ast.parse(source)) if source.strip() else None
    except (SyntaxError, ValueError):
        return None


class ModuleSyntax:
    """The syntax tree of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._definitions = _definitions(tree.body)

    def describe(self, name: str, line: int, *, whole_class: bool) -> list[JsonValue] | None:
        """Describe the function of a name that starts at a line, and all that it names.

        Args:
            name: the function's own name, `<lambda>` included.
            line: where it starts, its first decorator included; counted from 1.
            whole_class: whether to describe the class around it instead.

        Returns:
            None if there is not exactly one such function.
        """
        found = list(_functions(self._tree, name, line, ()))
        if len(found) != 1:
            return None
        function, around = found[0]
        root: ast.AST = function
        if whole_class and around and isinstance(around[-1], ast.ClassDef):
            root = around[-1]
        scopes = [
            _definitions(outer.body)
            for outer in reversed(around)
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        return _described(root, [*scopes, self._definitions])


def constant(value: object) -> JsonValue:
    """Describe a constant by its type and value, the same in every process."""
    kind = type(value).__name__
    match value:
        case frozenset() | set():
            return [kind, sorted(repr(constant(item)) for item in value)]
        case tuple() | list():
            return [kind, [constant(item) for item in value]]
        case bool() | float() | complex() | bytes() | None:
            return [kind, repr(value)]
        case int():
            return [kind, f"{value:x}"]  # decimal digits are limited in number
        case str():
            return [kind, value.encode("utf-8", "backslashreplace").decode()]
        case _:
            return [kind]


def _described(root: ast.AST, scopes: list[_Definitions]) -> list[JsonValue]:
    """Describe a node and, by name, every definition that it reaches."""
    names: set[str] = set()
    main = _dump(root, names)
    reached: dict[str, JsonValue] = {}
    while waiting := sorted(names - reached.keys()):
        for name in waiting:
            nodes = next((scope[name] for scope in scopes if name in scope), [])
            reached[name] = [_dump(node, names) for node in nodes if node is not root]
    followed: list[JsonValue] = [[name, dumps] for name, dumps in sorted(reached.items()) if dumps]
    return [main, followed]


def _dump(node: object, names: set[str]) -> JsonValue:
    """Describe a node and add the names it speaks of."""
    match node:
        case ast.Constant():
            return ["Constant", constant(node.value)]
        case ast.AST():
            if isinstance(node, ast.Name):
                names.add(node.id)
            fields = ((field, _field(node, field)) for field in node._fields)
            kept = [(field, value) for field, value in fields if value is not None and value != []]
            return [type(node).__name__, *([field, _dump(value, names)] for field, value in kept)]
        case list():
            return [_dump(item, names) for item in node]
        case _:
            return constant(node)


def _field(node: ast.AST, field: str) -> object:
    value: object = getattr(node, field, None)
    if field in _IGNORED_FIELDS:
        return None
    if field == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if isinstance(node, ast.JoinedStr):  # Python 3.12 adds empty constants to format specs
        return [part for part in node.values if not _is_empty_text(part)]
    if field == "decorator_list" and isinstance(value, list):
        return [decorator for decorator in value if not _is_task_decorator(decorator)]
    return value


def _is_empty_text(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""


def _is_task_decorator(decorator: object) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    match called:
        case ast.Name(id="task") | ast.Attribute(attr="task"):
            return True
        case _:
            return False


def _functions(
    node: ast.AST, name: str, line: int, around: tuple[ast.AST, ...]
) -> Iterator[tuple[_Function, tuple[ast.AST, ...]]]:
    """Yield each matching function with the functions and classes around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function) and _starts(child, name, line):
            yield child, around
        is_scope = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _functions(child, name, line, (*around, child) if is_scope else around)


def _starts(function: _Function, name: str, line: int) -> bool:
    if isinstance(function, ast.Lambda):
        return name == "<lambda>" and function.lineno == line
    lines = [function.lineno, *(decorator.lineno for decorator in function.decorator_list)]
    return function.name == name and min(lines) == line


def _definitions(body: Iterable[ast.stmt]) -> _Definitions:
    """Map each name that statements define, branches included, to what defines it."""
    found: _Definitions = {}
    for statement in _flat(body):
        for name, node in _defined(statement):
            found.setdefault(name, []).append(node)
    return found


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from _flat(getattr(statement, block, []))
        for handler in getattr(statement, "handlers", []):
            yield from _flat(handler.body)


def _defined(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name, statement
        case ast.Assign(targets=targets):
            for target in targets:
                yield from ((name, statement) for name in _bound(target))
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            yield from ((name, statement) for name in _bound(target))
        case ast.Import(names=names):
            for alias in names:
                yield alias.asname or alias.name.partition(".")[0], alias
        case ast.ImportFrom(module=module, names=names, level=level):
            for alias in names:
                origin = ast.ImportFrom(module=module, names=[alias], level=level)
                yield alias.asname or alias.name, origin
        case _:
            return


def _bound(target: ast.expr) -> Iterator[str]:
    yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
