"""Trigger rules: when a task runs, as plain JSON objects that read like sentences.

* A rule is a dict, so it can be written by hand, compared and stored; `&`, `|` and `~`
  combine rules, and rules nest.
* What is parsed is normalised: operators have their canonical names, a bare condition stands
  inside an `All`, and the `Conditional` form is read as a `ContextValue`.
* Rules are only described here; the engine decides them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidContextValueError, InvalidRuleError
from cloacina_sdk.json_text import JsonValue, decode, encode

OPERATORS: Final = {
    "Equals": ("==", "eq"),
    "NotEquals": ("!=", "ne"),
    "GreaterThan": (">", "gt"),
    "LessThan": ("<", "lt"),
    "GreaterOrEqual": (">=", "ge", "gte"),
    "LessOrEqual": ("<=", "le", "lte"),
    "In": (),
    "NotIn": ("not in",),
    "Contains": (),
    "NotContains": ("not contains",),
    "Exists": (),
    "NotExists": ("not exists",),
}
"""The canonical operators, each with its other spellings."""

MAX_NESTING: Final = 32

_TASK_CONDITIONS: Final = ("TaskSuccess", "TaskFailed", "TaskSkipped")
_GROUPS: Final = ("All", "Any", "None")
_KINDS: Final = ("Always", *_GROUPS, *_TASK_CONDITIONS, "ContextValue", "Conditional")
_CANONICAL: Final = {
    spelling.lower().replace("_", ""): name
    for name, others in OPERATORS.items()
    for spelling in (name, *others)
}
_NAME: Final = re.compile(r".+")
_ABSENT: Final = object()


class Rule(dict[str, JsonValue]):
    """A rule or condition, which is a dict of its JSON form.

    `a & b` holds when both do, `a | b` when one does, `~a` when `a` does not.
    """

    def __and__(self, other: Mapping[str, JsonValue]) -> Rule:
        return all_of(self, other)

    def __rand__(self, other: Mapping[str, JsonValue]) -> Rule:
        return all_of(other, self)

    def __or__(self, other: Mapping[str, JsonValue]) -> Rule:  # type: ignore[override]  # a rule means "or" where a dict would merge
        return any_of(self, other)

    def __ror__(self, other: Mapping[str, JsonValue]) -> Rule:  # type: ignore[override]  # as above
        return any_of(other, self)

    def __ior__(self, other: Mapping[str, JsonValue]) -> Rule:  # type: ignore[override]  # `rule |= other` must not merge in place
        return any_of(self, other)

    def __invert__(self) -> Rule:
        return none_of(self)

    def __repr__(self) -> str:
        return f"Rule({super().__repr__()})"


def always() -> Rule:
    """Run the task whatever became of its dependencies."""
    return Rule(type="Always")


def all_of(*conditions: Mapping[str, JsonValue]) -> Rule:
    """Hold when every condition does; without any, always."""
    return _group("All", conditions)


def any_of(*conditions: Mapping[str, JsonValue]) -> Rule:
    """Hold when at least one condition does; without any, never."""
    return _group("Any", conditions)


def none_of(*conditions: Mapping[str, JsonValue]) -> Rule:
    """Hold when no condition does; without any, always."""
    return _group("None", conditions)


def task_success(name: str) -> Rule:
    """Hold when the named task of this workflow completed."""
    return _parsed({"type": "TaskSuccess", "task_name": name})


def task_failed(name: str) -> Rule:
    """Hold when the named task of this workflow failed; naming a failure handles it."""
    return _parsed({"type": "TaskFailed", "task_name": name})


def task_skipped(name: str) -> Rule:
    """Hold when the named task of this workflow was skipped."""
    return _parsed({"type": "TaskSkipped", "task_name": name})


def context_value(key: str, operator: str, value: object = _ABSENT) -> Rule:
    """Hold when a value of the merged context compares so.

    Args:
        key: the context's key.
        operator: `==`, `!=`, `>`, `<`, `>=`, `<=`, `in`, `not_in`, `contains`,
            `not_contains`, `exists` or `not_exists`, or a canonical name such as `Equals`.
        value: what to compare with; not needed for `exists` and `not_exists`.
    """
    raw: dict[str, object] = {"type": "ContextValue", "key": key, "operator": operator}
    return _parsed(raw if value is _ABSENT else {**raw, "value": value})


def parse_rule(raw: object) -> Rule:
    """Return the normal form of a rule that was built or written by hand.

    Raises:
        InvalidRuleError: with every problem.
    """
    rule = _parsed(raw)
    return rule if rule["type"] in ("Always", *_GROUPS) else all_of(rule)


def read_rule(fields: Fields) -> Rule:
    """Read a rule of a stored document; with a problem the result is a stand-in."""
    rule = _read(fields, MAX_NESTING)
    return rule if rule["type"] in ("Always", *_GROUPS) else Rule(type="All", conditions=[rule])


def named_tasks(rule: Mapping[str, JsonValue]) -> frozenset[str]:
    """Return the names of all tasks that a parsed rule speaks of."""
    return frozenset(str(part["task_name"]) for part in _parts(rule) if "task_name" in part)


def with_task_names(rule: Mapping[str, JsonValue], rename: Callable[[str], str]) -> Rule:
    """Return a copy of a parsed rule with every task's name replaced."""
    changed = Rule(rule)
    if "task_name" in rule:
        changed["task_name"] = rename(str(rule["task_name"]))
    if "conditions" in rule:
        changed["conditions"] = [with_task_names(part, rename) for part in _children(rule)]
    return changed


def _group(kind: str, conditions: tuple[Mapping[str, JsonValue], ...]) -> Rule:
    return _parsed({"type": kind, "conditions": list(conditions)})


def _parsed(raw: object) -> Rule:
    problems: list[str] = []
    rule = _read(Fields(raw, "$", problems), MAX_NESTING)
    if problems:
        raise InvalidRuleError(problems)
    return rule


def _read(fields: Fields, depth: int) -> Rule:
    before = len(fields.problems)
    kind = fields.choice("type", _KINDS)
    if not depth:
        fields.problems.append(f"{fields.path} nests rules over {MAX_NESTING} levels deep")
    if len(fields.problems) > before:
        return always()
    rule = Rule(type=kind)
    if kind in _GROUPS:
        rule["conditions"] = [_read(part, depth - 1) for part in fields.each("conditions")]
    elif kind in _TASK_CONDITIONS:
        rule["task_name"] = fields.text("task_name", form=_NAME, expected="the name of a task")
    elif kind == "ContextValue":
        rule = _read_comparison(fields, "key")
    elif kind == "Conditional":
        inner = fields.inner("condition")
        rule = _read_comparison(inner, "field")
        inner.close()
    fields.close()
    return rule


def _read_comparison(fields: Fields, key_name: str) -> Rule:
    rule = Rule(type="ContextValue", key=fields.text(key_name))
    operator = _read_operator(fields)
    rule["operator"] = operator
    is_needed = operator not in ("Exists", "NotExists")
    if is_needed and not fields.has("value"):
        fields.value("value")  # reports it
        return rule
    rule["value"] = _read_value(fields, fields.value("value", None))
    if operator in ("In", "NotIn") and not isinstance(rule["value"], list | str):
        fields.problems.append(f"{fields.path_of('value')} must be an array or a string")
    return rule


def _read_operator(fields: Fields) -> str:
    before = len(fields.problems)
    given = fields.text("operator")
    operator = _CANONICAL.get(given.lower().replace("_", ""))
    if operator is None and len(fields.problems) == before:
        known = ", ".join("/".join((name, *others)) for name, others in OPERATORS.items())
        fields.problems.append(
            f"{fields.path_of('operator')} is {given!r}, which is no operator; known are {known}"
        )
    return operator or "Exists"


def _read_value(fields: Fields, value: object) -> JsonValue:
    try:
        return decode(encode(value, fields.path_of("value")))
    except InvalidContextValueError as error:
        fields.problems.append(f"{error.path} {error.reason}")
        return None


def _children(rule: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    return cast("list[Mapping[str, JsonValue]]", rule.get("conditions", []))


def _parts(rule: Mapping[str, JsonValue]) -> Iterator[Mapping[str, JsonValue]]:
    yield rule
    for child in _children(rule):
        yield from _parts(child)
