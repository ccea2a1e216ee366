"""What a submission is made of, checked before it goes anywhere.

A submission with an idempotency key finds the execution that has the key already: whatever its
state, whichever runner or process it came from. Two that race are settled by the database.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cloacina.errors import (
    ContextTooLargeError,
    IdempotencyConflictError,
    InvalidConfigError,
    InvalidIdempotencyKeyError,
    InvalidInputError,
    InvalidWorkflowError,
)
from cloacina.model.context_size import excess_of
from cloacina.planner.events import Identity, Submitted
from cloacina.planner.wishes import MOST_URGENT
from cloacina.runtime import Registered
from cloacina.store.idempotency import Earlier
from cloacina_sdk.context import Context
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.json_text import JsonValue, canonical
from cloacina_sdk.workflow import Workflow

ContextLike = Context | Mapping[str, JsonValue] | None
WorkflowLike = str | Workflow
TimeLike = timedelta | float | str

LONGEST_KEY: Final = 255
"""How many characters an idempotency key may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """How an execution is submitted, beside its workflow and input.

    Raises:
        InvalidConfigError: if the priority is out of range.
        InvalidIdempotencyKeyError: if the key is no text, empty, too long, or unprintable.
    """

    priority: int = 0
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        check_priority(self.priority)
        if self.idempotency_key is not None:
            _check_key(self.idempotency_key)


def new_submission(
    execution_id: str,
    found: Registered,
    context: ContextLike,
    options: SubmitOptions,
    *,
    max_bytes: int,
) -> Submitted:
    """Return what asks for an execution of a workflow.

    Raises:
        InvalidInputError: if the context is no mapping.
        InvalidContextValueError: if the context holds what JSON cannot.
        ContextTooLargeError: if it has more than ``max_bytes``; 0 is no limit.
    """
    given = _input(context)
    texts = given.texts()
    excess = excess_of(texts, max_bytes)
    if excess is not None:
        raise ContextTooLargeError(str(excess), excess.key)
    return Submitted(
        identity=Identity(
            execution_id=execution_id,
            tenant=found.tenant,
            package=found.package,
            package_digest=found.package_digest,
            workflow=found.name,
            workflow_version=found.version,
            priority=options.priority,
            idempotency_key=options.idempotency_key,
        ),
        topology=found.topology,
        input_texts=texts,
    )


def _input(given: object) -> Context:
    if isinstance(given, Context):
        return given
    if given is None:
        return Context()
    if not isinstance(given, Mapping):
        raise InvalidInputError(given)
    return Context(dict(given))


def name_of(workflow: object) -> str:
    """Return the name by which a workflow is found: its full one, of an object.

    Raises:
        InvalidWorkflowError: if it is neither a name nor a workflow.
    """
    if isinstance(workflow, Workflow):
        return f"{workflow.tenant}::{workflow.package}::{workflow.name}"
    if not isinstance(workflow, str):
        raise InvalidWorkflowError(workflow)
    return workflow


def to_seconds(timeout: timedelta | float | str | None) -> float | None:
    """Return how long to wait, where ``None`` is for ever, and a negative number not at all.

    Raises:
        InvalidDurationError: if it is no duration.
    """
    if timeout is None:
        return None
    if isinstance(timeout, int | float) and timeout < 0:
        return 0.0
    return min(to_milliseconds(timeout) / 1000, threading.TIMEOUT_MAX)


def check_same_input(event: Submitted, earlier: Earlier) -> None:
    """Make sure that a submission asks for what its key stands for already.

    Raises:
        IdempotencyConflictError: if its input differs, as JSON: the order of keys does not matter.
    """
    given = Context.from_texts(event.input_texts)
    if canonical(given.to_dict()) != canonical(Context.from_json(earlier.input).to_dict()):
        key = event.identity.idempotency_key or ""
        raise IdempotencyConflictError(key, earlier.execution_id)


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise InvalidIdempotencyKeyError(key, f"is of type {type(key).__name__}; give a text")
    if not key or len(key) > LONGEST_KEY:
        raise InvalidIdempotencyKeyError(
            key, f"has {len(key)} characters; from 1 to {LONGEST_KEY} are allowed"
        )
    if not key.isprintable():  # neither NUL nor lone surrogates, which databases refuse
        raise InvalidIdempotencyKeyError(
            key, "holds characters that cannot be printed; leave them out"
        )


def check_priority(priority: int) -> None:
    """Refuse what is no priority of an execution.

    Raises:
        InvalidConfigError: naming the range.
    """
    if type(priority) is not int or not -MOST_URGENT <= priority <= MOST_URGENT:
        allowed = f"a whole number from {-MOST_URGENT:,} to {MOST_URGENT:,}"
        raise InvalidConfigError("priority", priority, allowed)
