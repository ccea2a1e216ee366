"""Cloacina: an embedded durable workflow engine that runs signed packages.

Everything an application needs is here. Names are loaded when they are first used: those of the
engine bring the database along, those of the authoring side come from ``cloacina_sdk``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloacina.executors.routing import RoutingConfig, RoutingRule
    from cloacina.model.explanation import Explanation, Reason
    from cloacina.model.states import Answer
    from cloacina.packages.config import PackageConfig
    from cloacina.runner.builder import DefaultRunnerBuilder
    from cloacina.runner.config import DefaultRunnerConfig
    from cloacina.runner.console import init_logging
    from cloacina.runner.events import EventStream
    from cloacina.runner.handle import ExecutionHandle
    from cloacina.runner.result import ElementCounts, TaskResult, WorkflowResult
    from cloacina.runner.runner import DefaultRunner
    from cloacina.runtime import Runtime
    from cloacina.store.events import ExecutionEvent
    from cloacina.store.log_reader import TaskLog
    from cloacina.store.tenant import Tenant, TenantConfig, TenantCredentials
    from cloacina.store.tenant_admin import DatabaseAdmin
    from cloacina_sdk import (
        AsyncTaskHandle,
        AttemptStopped,
        BackoffStrategy,
        CloacinaError,
        Context,
        Fatal,
        JsonValue,
        RateLimit,
        Retry,
        RetryCondition,
        RetryPolicy,
        RetryPolicyBuilder,
        Rule,
        SentEvent,
        TaskDefinition,
        TaskHandle,
        TaskNamespace,
        WaitTimedOutError,
        Workflow,
        WorkflowBuilder,
        all_of,
        always,
        any_of,
        context_value,
        none_of,
        task,
        task_failed,
        task_skipped,
        task_success,
        workflow,
    )
    from cloacina_sdk.attempt import ExecutionResult, ResultStatus, TaskReadyEvent
    from cloacina_sdk.executor import ExecutorMetrics, Report, Tally, TaskExecutor
    from cloacina_sdk.log_line import LogLine, LogSource
    from cloacina_sdk.metrics import MetricKind, Sample, to_prometheus_text

__all__ = [
    "Answer",
    "AsyncTaskHandle",
    "AttemptStopped",
    "BackoffStrategy",
    "CloacinaError",
    "Context",
    "DatabaseAdmin",
    "DefaultRunner",
    "DefaultRunnerBuilder",
    "DefaultRunnerConfig",
    "ElementCounts",
    "EventStream",
    "ExecutionEvent",
    "ExecutionHandle",
    "ExecutionResult",
    "ExecutorMetrics",
    "Explanation",
    "Fatal",
    "JsonValue",
    "LogLine",
    "LogSource",
    "MetricKind",
    "PackageConfig",
    "RateLimit",
    "Reason",
    "Report",
    "ResultStatus",
    "Retry",
    "RetryCondition",
    "RetryPolicy",
    "RetryPolicyBuilder",
    "RoutingConfig",
    "RoutingRule",
    "Rule",
    "Runtime",
    "Sample",
    "SentEvent",
    "Tally",
    "TaskDefinition",
    "TaskExecutor",
    "TaskHandle",
    "TaskLog",
    "TaskNamespace",
    "TaskReadyEvent",
    "TaskResult",
    "Tenant",
    "TenantConfig",
    "TenantCredentials",
    "WaitTimedOutError",
    "Workflow",
    "WorkflowBuilder",
    "WorkflowResult",
    "all_of",
    "always",
    "any_of",
    "context_value",
    "init_logging",
    "none_of",
    "task",
    "task_failed",
    "task_skipped",
    "task_success",
    "to_prometheus_text",
    "workflow",
]

_ENGINE = {
    "Answer": "cloacina.model.states",
    "Explanation": "cloacina.model.explanation",
    "Reason": "cloacina.model.explanation",
    "DatabaseAdmin": "cloacina.store.tenant_admin",
    "DefaultRunner": "cloacina.runner.runner",
    "DefaultRunnerBuilder": "cloacina.runner.builder",
    "DefaultRunnerConfig": "cloacina.runner.config",
    "ElementCounts": "cloacina.runner.result",
    "EventStream": "cloacina.runner.events",
    "ExecutionEvent": "cloacina.store.events",
    "ExecutionHandle": "cloacina.runner.handle",
    "ExecutionResult": "cloacina_sdk.attempt",
    "ExecutorMetrics": "cloacina_sdk.executor",
    "LogLine": "cloacina_sdk.log_line",
    "MetricKind": "cloacina_sdk.metrics",
    "Sample": "cloacina_sdk.metrics",
    "init_logging": "cloacina.runner.console",
    "to_prometheus_text": "cloacina_sdk.metrics",
    "LogSource": "cloacina_sdk.log_line",
    "PackageConfig": "cloacina.packages.config",
    "Report": "cloacina_sdk.executor",
    "ResultStatus": "cloacina_sdk.attempt",
    "RoutingConfig": "cloacina.executors.routing",
    "RoutingRule": "cloacina.executors.routing",
    "Runtime": "cloacina.runtime",
    "Tally": "cloacina_sdk.executor",
    "TaskExecutor": "cloacina_sdk.executor",
    "TaskLog": "cloacina.store.log_reader",
    "TaskReadyEvent": "cloacina_sdk.attempt",
    "TaskResult": "cloacina.runner.result",
    "Tenant": "cloacina.store.tenant",
    "TenantConfig": "cloacina.store.tenant",
    "TenantCredentials": "cloacina.store.tenant",
    "WorkflowResult": "cloacina.runner.result",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cloacina' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only needed here

    return getattr(import_module(_ENGINE.get(name, "cloacina_sdk")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
