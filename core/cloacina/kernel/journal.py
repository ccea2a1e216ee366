"""Write what happens to attempts and executions to the log, with fields to find it by.

The values of contexts are never logged, nor the texts of errors that tasks raised, which may quote
them: those are kept with the attempt.
"""

import logging
from typing import Final

from cloacina.log import Logger
from cloacina.planner.effects import (
    AttemptDeferred,
    AttemptSettled,
    StartAttempt,
    WaitFailed,
)
from cloacina.planner.events import Identity
from cloacina.planner.execution import ExecutionState

LOG: Final = Logger("cloacina.engine")


def fields_of(
    identity: Identity, task: str | None = None, attempt: int | None = None
) -> dict[str, object]:
    """Return the extra fields of a log record about an execution, or one of its attempts."""
    fields: dict[str, object] = {
        "execution": identity.execution_id,
        "tenant": identity.tenant,
        "package": identity.package,
        "workflow": identity.workflow,
    }
    if task is not None:
        fields["task"] = task
    if attempt is not None:
        fields["attempt"] = attempt
    return fields


def started(effect: StartAttempt) -> None:
    """Log that an attempt starts."""
    if LOG.isEnabledFor(logging.DEBUG):
        fields = _fields_of(effect)
        LOG.debug("attempt %d of task %r starts", effect.attempt, fields["task"], extra=fields)


def settled(effect: AttemptSettled) -> None:
    """Log how an attempt ended."""
    level = logging.DEBUG if effect.failure is None else logging.INFO
    if not LOG.isEnabledFor(level):
        return
    fields = _fields_of(effect)
    seconds = effect.duration_us / 1_000_000
    if effect.failure is None:
        LOG.debug(
            "attempt %d of task %r succeeded after %.3f s",
            *(effect.attempt, fields["task"], seconds),
            extra=fields,
        )
        return
    delay_us = effect.retry_delay_us
    follows = "" if delay_us is None else f"; the next one follows in {delay_us / 1_000_000:g} s"
    LOG.info(
        "attempt %d of task %r failed after %.3f s: %s%s",
        *(effect.attempt, fields["task"], seconds, effect.failure.error_type, follows),
        extra=fields,
    )


def deferred(effect: AttemptDeferred) -> None:
    """Log that an attempt ended to wait."""
    if LOG.isEnabledFor(logging.DEBUG):
        fields = _fields_of(effect)
        seconds = effect.duration_us / 1_000_000
        LOG.debug(
            "attempt %d of task %r waits, after %.3f s",
            *(effect.attempt, fields["task"], seconds),
            extra=fields,
        )


def wait_failed(effect: WaitFailed) -> None:
    """Log that what a task waited for cannot be told."""
    if LOG.isEnabledFor(logging.INFO):
        fields = _fields_of(effect)
        LOG.info(
            "task %r waited for a condition, which raised a %s",
            *(fields["task"], effect.failure.error_type),
            extra=fields,
        )


def ended(execution: ExecutionState) -> None:
    """Log that an execution reached its end."""
    if LOG.isEnabledFor(logging.INFO):
        fields = fields_of(execution.identity)
        LOG.info("execution %s %s", execution.id, execution.status.lower(), extra=fields)


def _fields_of(
    effect: StartAttempt | AttemptSettled | AttemptDeferred | WaitFailed,
) -> dict[str, object]:
    task = effect.execution.spec(effect.task_number).id
    return fields_of(effect.execution.identity, task, effect.attempt)
