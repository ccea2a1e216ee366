"""Whether a trigger rule holds, given how the other tasks ended and what the task would see."""

from collections.abc import Callable, Mapping

from cloacina.model.states import TaskStatus
from cloacina_sdk.json_text import JsonValue, decode, encode

StatusOf = Callable[[str], TaskStatus]
_STATUS_ASKED = {
    "TaskSuccess": TaskStatus.COMPLETED,
    "TaskFailed": TaskStatus.FAILED,
    "TaskSkipped": TaskStatus.SKIPPED,
}


def holds(rule: Mapping[str, JsonValue], status_of: StatusOf, texts: Mapping[str, str]) -> bool:
    """Evaluate a parsed ``rule``; ``texts`` is the merged context that the body would see."""
    kind = str(rule["type"])
    if kind in _STATUS_ASKED:
        return status_of(str(rule["task_name"])) is _STATUS_ASKED[kind]
    if kind == "ContextValue":
        return _compare(str(rule["operator"]), texts.get(str(rule["key"])), rule.get("value"))
    answers = (holds(condition, status_of, texts) for condition in _conditions(rule))
    match kind:
        case "Always":
            return True
        case "All":
            return all(answers)
        case "Any":
            return any(answers)
        case "None":
            return not any(answers)
        case _:
            raise ValueError(f"a parsed rule cannot have the type {kind!r}")


def failures_named(rule: Mapping[str, JsonValue] | None) -> frozenset[str]:
    """Return the tasks whose failure a rule asks about, and so handles where the rule holds."""
    if rule is None:
        return frozenset()
    if rule["type"] == "TaskFailed":
        return frozenset({str(rule["task_name"])})
    if "conditions" not in rule:
        return frozenset()
    return frozenset().union(*map(failures_named, _conditions(rule)))


def _conditions(rule: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    conditions = rule.get("conditions")
    if not isinstance(conditions, list):
        return []
    return [condition for condition in conditions if isinstance(condition, Mapping)]


def _compare(operator: str, text: str | None, expected: JsonValue) -> bool:
    match operator:
        case "Exists":
            return text is not None
        case "NotExists":
            return text is None
        case "NotEquals" | "NotIn" | "NotContains":
            return not _compare(operator.removeprefix("Not"), text, expected)
    if text is None:
        return False
    return _compare_value(operator, decode(text), expected)


def _compare_value(operator: str, actual: JsonValue, expected: JsonValue) -> bool:
    match operator:
        case "Equals":
            return _same(actual, expected)
        case "In":
            return _contains(expected, actual)
        case "Contains":
            return _contains(actual, expected)
        case "GreaterThan" | "LessThan" | "GreaterOrEqual" | "LessOrEqual":
            return _ordered(operator, actual, expected)
        case _:
            raise ValueError(f"a parsed rule cannot have the operator {operator!r}")


def _same(left: JsonValue, right: JsonValue) -> bool:
    """JSON equality: numbers by value, ``true`` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return encode(_sorted(left)) == encode(_sorted(right))


def _sorted(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _contains(container: JsonValue, item: JsonValue) -> bool:
    if isinstance(container, str):
        return isinstance(item, str) and item in container
    if isinstance(container, list):
        return any(_same(member, item) for member in container)
    return False


def _ordered(operator: str, left: JsonValue, right: JsonValue) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    match operator:
        case "GreaterThan":
            return left > right
        case "LessThan":
            return left < right
        case "GreaterOrEqual":
            return left >= right
        case _:
            return left <= right
