"""How an execution must end, told from its graph and from how each attempt ended.

Written from the rules as they are documented, not from the planner, and as plainly as possible:
one pass over the tasks in the order of their dependencies, everything computed afresh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloacina_sdk.changes import Changes
from cloacina_sdk.json_text import JsonValue, decode
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.retry import ConditionKind, RetryPolicy
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

LOST = "lost"
"""An attempt whose runner was lost."""
CANCELLED = "cancelled"
"""An attempt that ended because its execution was stopped."""
TIMED_OUT = TaskFailure(error_type="TaskTimeout", message="", traceback="", is_transient=True)
MOST_LOSSES = 5

Ending = Changes | TaskFailure | str
Endings = dict[tuple[str, int | None], list[Ending]]
"""How the attempts of each task, or of each element of a mapped one that moved, ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What is known of an execution that was stopped before its tasks were decided."""

    reason: str | None
    cancelled: frozenset[str]
    """The tasks that were not final at that time; which, is a matter of chance."""


@dataclass(slots=True)
class Verdict:
    """What must be found at the end."""

    statuses: dict[str, str] = field(default_factory=dict)
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    """Task -> the context that its body must have seen, if it ran."""
    lists: dict[str, list[JsonValue]] = field(default_factory=dict)
    """Mapped task -> the list that it must have run over, if it ran."""
    status: str = ""
    error_task: str | None = None
    problems: list[str] = field(default_factory=list)


def judge(
    workflow: WorkflowSpec,
    endings: Endings,
    given: Mapping[str, str],
    stop: Stop,
) -> Verdict:
    """Return how an execution with input ``given`` must have ended.

    ``endings`` tells how attempts ended, in their order.
    """
    verdict = Verdict()
    tainted: set[str] = set()
    left = {spec.id: spec for spec in workflow.tasks}
    outputs: dict[str, Changes] = {}
    while left:
        spec = next(s for s in left.values() if not any(name in left for name in s.dependencies))
        del left[spec.id]
        seen = _seen(spec, workflow, outputs, given)
        verdict.seen[spec.id] = seen
        ends = endings[spec.id, None]
        has_elements = any(name == spec.id and place is not None for name, place in endings)
        does_run = _runs(spec, verdict.statuses, tainted, seen)
        if does_run and (spec.mapped is not None or _lacks_key(spec, seen)):
            output = _judge_without_attempts(spec, endings, stop, verdict)
            if output is not None:
                outputs[spec.id] = output
        elif spec.id in stop.cancelled:
            verdict.statuses[spec.id] = "Cancelled"
            if any(isinstance(end, Changes) for end in ends):
                verdict.problems.append(f"{spec.id} was cancelled though it had succeeded")
        elif does_run:
            verdict.statuses[spec.id] = _ended(spec, ends, verdict.problems)
            if ends and isinstance(ends[-1], Changes):
                outputs[spec.id] = ends[-1]
        else:
            verdict.statuses[spec.id] = "Skipped"
            if spec.trigger_rule is None:
                tainted.add(spec.id)
            if ends or has_elements:
                verdict.problems.append(f"{spec.id} ran though it must be skipped")
    _conclude(workflow, verdict, stop)
    return verdict


def names_failure(rule: Mapping[str, JsonValue] | None, name: str) -> bool:
    """Whether a rule mentions the failure of a task, however deep."""
    if rule is None:
        return False
    if rule["type"] == "TaskFailed":
        return rule["task_name"] == name
    return any(names_failure(inner, name) for inner in _inner(rule))


def may_repeat(policy: RetryPolicy, failures: int, failure: TaskFailure) -> bool:
    """Whether another attempt follows that many failures, of which this is the last."""
    if failures >= max(1, policy.max_attempts):
        return False
    kinds = {condition.kind for condition in policy.conditions}
    return ConditionKind.ALL_ERRORS in kinds or (
        ConditionKind.TRANSIENT_ONLY in kinds and failure.is_transient
    )


def _seen(
    spec: TaskSpec, workflow: WorkflowSpec, outputs: Mapping[str, Changes], given: Mapping[str, str]
) -> dict[str, str]:
    """Input and what all tasks before wrote; sound because no key has two writers."""
    before: set[str] = set()
    left = list(spec.dependencies)
    while left:
        name = left.pop()
        before.add(name)
        left.extend(workflow.task(name).dependencies)
    seen = dict(given)
    for name in before & outputs.keys():
        seen |= outputs[name].assigned
        for key in outputs[name].removed:
            seen.pop(key, None)
    return seen


def _runs(
    spec: TaskSpec, statuses: Mapping[str, str], tainted: set[str], seen: Mapping[str, str]
) -> bool:
    if spec.trigger_rule is not None:
        return _holds(spec.trigger_rule, statuses, seen)
    return all(
        statuses[name] in {"Completed", "Skipped"} and name not in tainted
        for name in spec.dependencies
    )


def _holds(
    rule: Mapping[str, JsonValue], statuses: Mapping[str, str], seen: Mapping[str, str]
) -> bool:
    inner = [_holds(condition, statuses, seen) for condition in _inner(rule)]
    status = statuses.get(str(rule.get("task_name")))
    match rule["type"]:
        case "Always":
            return True
        case "All":
            return False not in inner
        case "Any":
            return True in inner
        case "None":
            return True not in inner
        case "ContextValue":
            return _value_holds(rule, seen)
    asked = {"TaskSuccess": "Completed", "TaskFailed": "Failed", "TaskSkipped": "Skipped"}
    return status == asked[str(rule["type"])]


def _value_holds(rule: Mapping[str, JsonValue], seen: Mapping[str, str]) -> bool:
    """Compare small integers, which is all that simulated tasks write."""
    key, operator, wanted = str(rule["key"]), rule["operator"], rule.get("value")
    found = int(seen[key]) if key in seen else None
    match operator:
        case "Exists":
            return found is not None
        case "NotExists":
            return found is None
        case "NotEquals":
            return found != wanted
    if found is None or not isinstance(wanted, int):
        return False
    return {"Equals": found == wanted, "GreaterThan": found > wanted, "LessThan": found < wanted}[
        str(operator)
    ]


def _inner(rule: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    conditions = rule.get("conditions", [])
    assert isinstance(conditions, list)
    return [condition for condition in conditions if isinstance(condition, Mapping)]


def _ended(spec: TaskSpec, ends: Sequence[Ending], problems: list[str]) -> str:
    failures = losses = 0
    status = "not ended"
    for end in ends:
        if status != "not ended":
            problems.append(f"{spec.id} was attempted again after it had ended")
        if isinstance(end, Changes):
            status = "Completed"
        elif isinstance(end, TaskFailure):
            failures += 1
            if not may_repeat(spec.retry, failures, end):
                status = "Failed"
        else:
            losses += 1
            if losses == MOST_LOSSES:
                status = "Failed"
    return status


def _judge_without_attempts(
    spec: TaskSpec, endings: Endings, stop: Stop, verdict: Verdict
) -> Changes | None:
    """Judge a task that has no attempts of its own; return what it passes on."""
    is_cancelled = spec.id in stop.cancelled
    own = {
        place: e for (name, place), e in endings.items() if name == spec.id and place is not None
    }
    if endings[spec.id, None]:
        verdict.problems.append(f"{spec.id} ran itself")
    if _lacks_key(spec, verdict.seen[spec.id]):
        if own:
            verdict.problems.append(f"{spec.id} ran though it has no key")
        status, output = "Failed", None
    else:
        status, output = _ended_mapped(spec, own, verdict.seen[spec.id], verdict)
    if is_cancelled and not own:  # before it began
        status, output = "Cancelled", None
    elif status == "Cancelled" and not is_cancelled:
        status = "not all elements ended"
    verdict.statuses[spec.id] = status
    return output


def _lacks_key(spec: TaskSpec, seen: Mapping[str, str]) -> bool:
    """Whether a task's concurrency key needs a value that is not there."""
    key = None if spec.throttle is None else spec.throttle.key
    return key is not None and "{go}" in key and "go" not in seen


def _ended_mapped(
    spec: TaskSpec,
    endings: Mapping[int, Sequence[Ending]],
    seen: Mapping[str, str],
    verdict: Verdict,
) -> tuple[str, Changes | None]:
    """Return how a mapped task ended, whose elements ended like that, and what it passes on."""
    assert spec.mapped is not None
    items = decode(seen[spec.mapped.over]) if spec.mapped.over in seen else None
    if not isinstance(items, list):
        if endings:
            verdict.problems.append(f"{spec.id} ran elements of no list")
        return "Failed", None
    verdict.lists[spec.id] = items
    statuses: list[str] = []
    results: list[str] = []
    for place in range(len(items)):
        ends = endings.get(place, ())
        ended = _ended(spec, [end for end in ends if end != CANCELLED], verdict.problems)
        statuses.append(ended)
        results += [end.assigned[spec.result_key] for end in ends if isinstance(end, Changes)]
    if "Failed" in statuses:
        return "Failed", None
    if "not ended" in statuses:
        return "Cancelled", None
    text = f"[{','.join(results)}]"
    return "Completed", Changes(assigned={spec.result_key: text}, removed=frozenset())


def _conclude(workflow: WorkflowSpec, verdict: Verdict, stop: Stop) -> None:
    if stop.cancelled and stop.reason is None:
        verdict.problems.append("tasks were cancelled though nobody wanted that")
    if stop.reason in {"Cancel", "Timeout"}:
        verdict.status = "Cancelled" if stop.reason == "Cancel" else "Failed"
        return
    if workflow.fail_fast and stop.reason is None:
        _check_fail_fast(workflow, verdict)
    for spec in workflow.tasks:
        if verdict.statuses[spec.id] != "Failed" or spec.allow_failure:
            continue
        is_handled = any(
            spec.id in other.dependencies
            and verdict.statuses[other.id] == "Completed"
            and names_failure(other.trigger_rule, spec.id)
            for other in workflow.tasks
        )
        if not is_handled:
            verdict.status, verdict.error_task = "Failed", spec.id
            return
    verdict.status = "Completed"


def _check_fail_fast(workflow: WorkflowSpec, verdict: Verdict) -> None:
    for spec in workflow.tasks:
        if verdict.statuses[spec.id] == "Failed" and not spec.allow_failure:
            handlers = [other for other in workflow.tasks if spec.id in other.dependencies]
            if not any(names_failure(other.trigger_rule, spec.id) for other in handlers):
                verdict.problems.append(f"{spec.id} failed and did not stop the execution")
