"""Tell the log and hook implementations what happens to attempts and executions. Their faults stay theirs."""

import pluggy

from cloacina.kernel import journal
from cloacina.kernel.callbacks import CallbackCaller
from cloacina.planner.effects import (
    AttemptDeferred,
    AttemptSettled,
    StartAttempt,
    WaitFailed,
)
from cloacina.planner.execution import ExecutionState
from cloacina.plugins import notify
from cloacina_sdk import hooks
from cloacina_sdk.namespace import TaskNamespace


class Observer:
    """Calls the life-cycle hooks of a plugin manager, from the kernel's thread, after commits."""

    def __init__(self, plugins: pluggy.PluginManager, callbacks: CallbackCaller) -> None:
        """Call the implementations that are registered with ``plugins`` at the time.

        What authors of workflows want to be called is left to ``callbacks``.
        """
        self._plugins = plugins
        self._callbacks = callbacks

    def attempt_started(self, effect: StartAttempt) -> None:
        """Call ``cloacina_before_attempt``."""
        journal.started(effect)
        notify(
            self._plugins,
            "cloacina_before_attempt",
            lambda: {"attempt": _attempt(effect.execution, effect.task_number, effect.attempt)},
        )

    def attempt_settled(self, effect: AttemptSettled) -> None:
        """Call ``cloacina_after_attempt`` and, where one follows, ``cloacina_attempt_retried``."""
        journal.settled(effect)
        notify(
            self._plugins,
            "cloacina_after_attempt",
            lambda: {
                "attempt": _attempt(effect.execution, effect.task_number, effect.attempt),
                "outcome": hooks.AttemptOutcome(
                    status="Failed" if effect.failure else "Succeeded",
                    failure=effect.failure,
                    duration_s=effect.duration_us / 1_000_000,
                ),
            },
        )
        self._callbacks.attempt_settled(effect)
        self._tell_of_retry(effect)

    def attempt_deferred(self, effect: AttemptDeferred) -> None:
        """Call ``cloacina_after_attempt``; what authors want to be called is not due."""
        journal.deferred(effect)
        notify(
            self._plugins,
            "cloacina_after_attempt",
            lambda: {
                "attempt": _attempt(effect.execution, effect.task_number, effect.attempt),
                "outcome": hooks.AttemptOutcome(
                    status="Deferred",
                    failure=None,
                    duration_s=effect.duration_us / 1_000_000,
                ),
            },
        )

    def wait_failed(self, effect: WaitFailed) -> None:
        """Call ``cloacina_attempt_retried`` where another attempt follows."""
        journal.wait_failed(effect)
        self._callbacks.attempt_settled(effect)
        self._tell_of_retry(effect)

    def _tell_of_retry(self, effect: AttemptSettled | WaitFailed) -> None:
        delay_us = effect.retry_delay_us
        if delay_us is not None:
            notify(
                self._plugins,
                "cloacina_attempt_retried",
                lambda: {
                    "attempt": _attempt(effect.execution, effect.task_number, effect.attempt),
                    "delay_s": delay_us / 1_000_000,
                },
            )

    def execution_ended(self, execution: ExecutionState) -> None:
        """Call ``cloacina_execution_finished``."""
        journal.ended(execution)
        self._callbacks.execution_ended(execution)
        notify(
            self._plugins,
            "cloacina_execution_finished",
            lambda: {
                "execution": hooks.ExecutionInfo(
                    execution_id=execution.id,
                    workflow=execution.identity.workflow,
                    status=execution.status,
                    package_digest=execution.identity.package_digest,
                )
            },
        )


def _attempt(execution: ExecutionState, task_number: int, attempt: int) -> hooks.AttemptInfo:
    identity = execution.identity
    task = execution.spec(task_number).id
    return hooks.AttemptInfo(
        execution_id=execution.id,
        namespace=TaskNamespace(identity.tenant, identity.package, identity.workflow, task),
        attempt=attempt,
        package_digest=identity.package_digest,
        element=_element(execution, task_number),
    )


def _element(execution: ExecutionState, task_number: int) -> hooks.ElementInfo | None:
    expansion = execution.expansion_at(task_number)
    if expansion is None:
        return None
    return hooks.ElementInfo(
        index=task_number - expansion.first,
        count=expansion.count,
        done=expansion.completed + expansion.failed,
        failed=expansion.failed,
    )
