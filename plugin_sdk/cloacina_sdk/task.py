"""The `@task` decorator: describe what a function does in a workflow.

* The decorated function stays what it was; the description is attached to it.
* Options are checked when they are written, before any function is decorated.
* This module imports nothing, so that `import cloacina_sdk` stays cheap.
"""

from __future__ import annotations

__all__ = ["TaskDefinition", "task"]

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import TypeVar, overload

    from cloacina_sdk.definition import TaskDefinition
    from cloacina_sdk.json_text import JsonValue
    from cloacina_sdk.retry import ConditionLike, RetryPolicy
    from cloacina_sdk.throttle import RateLimit

    F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:

    @overload
    def task(function: F, /) -> F: ...
    @overload
    def task(
        *,
        id: str | None = None,
        dependencies: Sequence[str | Callable[..., object]] | None = None,
        retry: RetryPolicy | None = None,
        retry_attempts: int | None = None,
        retry_backoff: str | None = None,
        retry_delay_ms: int | None = None,
        retry_max_delay_ms: int | None = None,
        retry_delay: timedelta | float | str | None = None,
        retry_max_delay: timedelta | float | str | None = None,
        retry_condition: str | ConditionLike | Sequence[str | ConditionLike] | None = None,
        retry_jitter: bool | None = None,
        trigger_rules: Mapping[str, JsonValue] | None = None,
        allow_failure: bool = False,
        timeout: timedelta | float | str | None = None,
        map_over: str | None = None,
        map_into: str | None = None,
        max_parallel: int | None = None,
        concurrency_key: str | None = None,
        max_concurrent: int | None = None,
        rate_limit: RateLimit | str | None = None,
        on_success: Callable[..., object] | None = None,
        on_failure: Callable[..., object] | None = None,
        on_retry: Callable[..., object] | None = None,
    ) -> Callable[[F], F]: ...


def task(  # noqa: PLR0913 - each option of a task is one keyword
    function: F | None = None,
    /,
    *,
    id: str | None = None,
    dependencies: Sequence[str | Callable[..., object]] | None = None,
    retry: RetryPolicy | None = None,
    retry_attempts: int | None = None,
    retry_backoff: str | None = None,
    retry_delay_ms: int | None = None,
    retry_max_delay_ms: int | None = None,
    retry_delay: timedelta | float | str | None = None,
    retry_max_delay: timedelta | float | str | None = None,
    retry_condition: str | ConditionLike | Sequence[str | ConditionLike] | None = None,
    retry_jitter: bool | None = None,
    trigger_rules: Mapping[str, JsonValue] | None = None,
    allow_failure: bool = False,
    timeout: timedelta | float | str | None = None,
    map_over: str | None = None,
    map_into: str | None = None,
    max_parallel: int | None = None,
    concurrency_key: str | None = None,
    max_concurrent: int | None = None,
    rate_limit: RateLimit | str | None = None,
    on_success: Callable[..., object] | None = None,
    on_failure: Callable[..., object] | None = None,
    on_retry: Callable[..., object] | None = None,
) -> F | Callable[[F], F]:
    """Make a function a task; works as `@task` and as `@task(...)`.

    The function is called with one argument, the Context. It may change it in place, return
    it, return a mapping to merge into it, or return nothing.

    A further parameter that is called `handle` or `task_handle`, or is annotated so, gets a
    `TaskHandle` (an `AsyncTaskHandle`, if the function is async): by it a task waits for a time,
    an event or a condition, keeps checkpoints, and learns that it is to end.

    With `map_over` the task is mapped: its function is called once for each element of a list,
    with the Context and the element, and must leave the Context alone. What it returns, any JSON
    value, is the element's result. Each element has its own attempts; retries and the timeout
    are those of one element. Tasks that depend on it wait for all elements, and find the list of
    results, in the elements' order, under `map_into`. It fails if one element fails for good,
    once all others have ended.

    Args:
        function: what is decorated, when there are no options.
        id: the task's name in its workflow; the function's name if absent.
        dependencies: tasks that must be finished before, by id or by function.
        retry: the whole policy; excludes every `retry_*` option.
        retry_attempts: runs in all, the first included (default 3).
        retry_backoff: "fixed", "linear" or "exponential" (default).
        retry_delay_ms: the first delay in milliseconds (default 1000).
        retry_max_delay_ms: the longest delay in milliseconds (default 60000).
        retry_delay: the first delay as a timedelta, seconds, or text such as "5s".
        retry_max_delay: the longest delay in the same forms.
        retry_condition: which errors are retried: "all" (default), "transient", "never", exception
            classes, functions of the error, or a list of any of these, of which one has to match.
        retry_jitter: whether delays are varied by a quarter either way (default).
        trigger_rules: when the task runs, from builders such as `all_of`.
        allow_failure: whether the workflow can complete though this task failed.
        timeout: how long one attempt may take, as a timedelta, seconds, or text such as "5s";
            by default what the host says. The body of a task that is not async runs in a thread,
            and a thread cannot be stopped: where it goes on after its time, the next attempt may
            start beside it. Have it ask `handle.is_cancelled()`.
        map_over: the key of the list that a mapped task runs over.
        map_into: the key of the list of its results; the task's id if absent.
        max_parallel: how many of its elements may run at once; by default as many as the
            runner has slots.
        concurrency_key: a name that attempts hold while they run, of this task and of every
            other that names the same key, over all runners on the database; `{name}` in it
            stands for a string or number of the context.
        max_concurrent: how many attempts may hold the key at once (default 1); name the same
            number wherever you name the key.
        rate_limit: how many attempts of this task may start in each window of the clock, over
            all runners on the database: "10/s", "5/m", "100/h", "1000/d", or a RateLimit.
        on_success: called with task id and context after the task completed.
        on_failure: called with task id, error text and context after each failed attempt; the
            context has what the body had changed.
        on_retry: like `on_failure`, if another attempt follows. All three may be async, are called
            after the state is durable, at most once, and change nothing by what they raise.
            Packages cannot have them.

    Raises:
        InvalidDefinitionError: if the options contradict each other or have no such value, or
            if the function cannot be called with a Context.
        InvalidRuleError: if the trigger rule is malformed.
    """
    from cloacina_sdk import mapped, options, throttle  # noqa: PLC0415 - paid by the first task, not by the import
    from cloacina_sdk.callbacks import Callbacks  # noqa: PLC0415 - likewise

    chosen = options.TaskOptions.checked(
        id=id,
        dependencies=dependencies,
        retry=retry,
        retry_options={
            "retry_attempts": retry_attempts,
            "retry_backoff": retry_backoff,
            "retry_delay_ms": retry_delay_ms,
            "retry_max_delay_ms": retry_max_delay_ms,
            "retry_delay": retry_delay,
            "retry_max_delay": retry_max_delay,
            "retry_condition": retry_condition,
            "retry_jitter": retry_jitter,
        },
        trigger_rules=trigger_rules,
        allow_failure=allow_failure,
        timeout=timeout,
        mapped=mapped.checked(map_over, map_into, max_parallel),
        throttle=throttle.checked(concurrency_key, max_concurrent, rate_limit),
        callbacks=Callbacks(on_success=on_success, on_failure=on_failure, on_retry=on_retry),
    )
    return chosen.decorate if function is None else chosen.decorate(function)


def __getattr__(name: str) -> object:
    if name == "TaskDefinition":
        from cloacina_sdk.definition import TaskDefinition  # noqa: PLC0415 - as above

        return TaskDefinition
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
