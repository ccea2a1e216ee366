"""What a submission is made of, checked before it goes anywhere.

A submission with an idempotency key finds the execution that has the key already: whatever its
state, whichever runner or process it came from. Two that race are settled by the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloacina.errors import (
    ContextTooLargeError,
    IdempotencyConflictError,
    InvalidConfigError,
    InvalidIdempotencyKeyError,
)
from cloacina.model.context_size import excess_of
from cloacina.planner.events import Identity, Submitted
from cloacina.runtime import Registered
from cloacina.store.idempotency import Earlier
from cloacina_sdk.context import Context
from cloacina_sdk.json_text import JsonValue, canonical

ContextLike = Context | Mapping[str, JsonValue] | None

LONGEST_KEY: Final = 255
"""How many characters an idempotency key may have."""
_MOST_URGENT: Final = 1_000_000


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
        if type(self.priority) is not int or not -_MOST_URGENT <= self.priority <= _MOST_URGENT:
            allowed = f"a whole number from {-_MOST_URGENT:,} to {_MOST_URGENT:,}"
            raise InvalidConfigError("priority", self.priority, allowed)
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
        InvalidContextValueError: if the context holds what JSON cannot.
        ContextTooLargeError: if it has more than ``max_bytes``; 0 is no limit.
    """
    given = context if isinstance(context, Context) else Context(dict(context or {}))
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
