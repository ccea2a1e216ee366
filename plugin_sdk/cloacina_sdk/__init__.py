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
    from cloacina_sdk.async_handle import AsyncTaskHandle
    from cloacina_sdk.backoff import BackoffStrategy
    from cloacina_sdk.builder import WorkflowBuilder
    from cloacina_sdk.context import Context
    from cloacina_sdk.definition import TaskDefinition
    from cloacina_sdk.errors import CloacinaError, WaitTimedOutError
    from cloacina_sdk.handle import TaskHandle
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
    from cloacina_sdk.unwinding import AttemptStopped
    from cloacina_sdk.wait_condition import SentEvent

__all__ = [
    "AsyncTaskHandle",
    "AttemptStopped",
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
    "SentEvent",
    "TaskDefinition",
    "TaskHandle",
    "TaskNamespace",
    "WaitTimedOutError",
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
    "AsyncTaskHandle": "async_handle",
    "AttemptStopped": "unwinding",
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
    "SentEvent": "wait_condition",
    "TaskDefinition": "definition",
    "TaskHandle": "handle",
    "TaskNamespace": "namespace",
    "WaitTimedOutError": "errors",
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
