"""What a workflow author imports: tasks, workflows, contexts, retry policies and rules.

Names are loaded when they are first used, so importing the package costs next to nothing;
the two decorators are bound at once, because modules of the same names exist.
"""

from __future__ import annotations

from cloacina_sdk.task import task
from cloacina_sdk.workflow import workflow

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from cloacina_sdk.assembly import Workflow
    from cloacina_sdk.backoff import BackoffStrategy
    from cloacina_sdk.builder import WorkflowBuilder
    from cloacina_sdk.context import Context
    from cloacina_sdk.definition import TaskDefinition
    from cloacina_sdk.errors import CloacinaError
    from cloacina_sdk.json_text import JsonValue
    from cloacina_sdk.namespace import TaskNamespace
    from cloacina_sdk.retry import RetryCondition, RetryPolicy, RetryPolicyBuilder
    from cloacina_sdk.rules import (
        Rule,
        all_of,
        always,
        any_of,
        context_value,
        none_of,
        task_failed,
        task_skipped,
        task_success,
    )
    from cloacina_sdk.signals import Fatal, Retry
    from cloacina_sdk.throttle import RateLimit

__all__ = [
    "BackoffStrategy",
    "CloacinaError",
    "Context",
    "Fatal",
    "JsonValue",
    "RateLimit",
    "Retry",
    "RetryCondition",
    "RetryPolicy",
    "RetryPolicyBuilder",
    "Rule",
    "TaskDefinition",
    "TaskNamespace",
    "Workflow",
    "WorkflowBuilder",
    "all_of",
    "always",
    "any_of",
    "context_value",
    "none_of",
    "task",
    "task_failed",
    "task_skipped",
    "task_success",
    "workflow",
]

_HOMES = {
    "BackoffStrategy": "backoff",
    "CloacinaError": "errors",
    "Context": "context",
    "Fatal": "signals",
    "JsonValue": "json_text",
    "RateLimit": "throttle",
    "Retry": "signals",
    "RetryCondition": "retry",
    "RetryPolicy": "retry",
    "RetryPolicyBuilder": "retry",
    "Rule": "rules",
    "TaskDefinition": "definition",
    "TaskNamespace": "namespace",
    "Workflow": "assembly",
    "WorkflowBuilder": "builder",
    "all_of": "rules",
    "always": "rules",
    "any_of": "rules",
    "context_value": "rules",
    "none_of": "rules",
    "task_failed": "rules",
    "task_skipped": "rules",
    "task_success": "rules",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the package itself imports nothing

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
