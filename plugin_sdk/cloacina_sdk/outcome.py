"""What the end of a task's body means: the context it leaves, or the failure it reports."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import cast

from cloacina_sdk.changes import Changes
from cloacina_sdk.contention import is_contention
from cloacina_sdk.context import Context
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidReturnError, WaitTimedOutError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.signals import Fatal, Retry
from cloacina_sdk.verdict import is_retry_approved, left_behind

TEXT_LIMIT_BYTES = 16 * 1024
NAME_LIMIT_BYTES = 500
_MOST_CLASSES = 64
_LONGEST_DELAY_MS = 366 * 24 * 3600 * 1000

_TRANSIENT_NUMBERS = frozenset(
    number
    for number, name in errno.errorcode.items()
    if name
    in {
        "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN",
        "EHOSTUNREACH", "EINTR", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOBUFS", "EPIPE",
        "ETIMEDOUT", "EWOULDBLOCK",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """Why an attempt failed, as data that outlives the exception.

    Attributes:
        error_type: the bare name of a built-in exception, else `module.Name`.
        message: the exception's text, at most 16 KiB of it.
        traceback: the formatted traceback; of a longer one the last 16 KiB.
        is_transient: whether the kind of error promises that another attempt may succeed.
        is_fatal: whether the task said that no other attempt should follow.
        is_retry_wanted: whether the task said that another attempt should follow.
        retry_after_ms: the delay that the task wants before it, or None for the policy's.
        error_types: the names of the error's class and of all its bases, the nearest first; none
            where no exception stands behind the failure.
        is_retry_approved: whether a retry predicate of the task said yes.
        left: what the body had changed in its context when it raised, where that is known; it is
            no part of any document.
    """

    error_type: str
    message: str
    traceback: str
    is_transient: bool
    is_fatal: bool = False
    is_retry_wanted: bool = False
    retry_after_ms: int | None = None
    error_types: tuple[str, ...] = ()
    is_retry_approved: bool = False
    left: Changes | None = field(default=None, compare=False, repr=False)

    def to_document(self) -> dict[str, JsonValue]:
        """Return an object that `read` reads."""
        return {
            "error_type": self.error_type,
            "message": self.message,
            "traceback": self.traceback,
            "is_transient": self.is_transient,
            "is_fatal": self.is_fatal,
            "is_retry_wanted": self.is_retry_wanted,
            "retry_after_ms": self.retry_after_ms,
            "error_types": list(self.error_types),
            "is_retry_approved": self.is_retry_approved,
        }

    @classmethod
    def read(cls, fields: Fields) -> TaskFailure:
        """Read what `to_document` returned; what is wrong with it is added to its problems."""
        failure = cls(
            error_type=fields.text("error_type"),
            message=fields.text("message"),
            traceback=fields.text("traceback"),
            is_transient=fields.boolean("is_transient"),
            is_fatal=fields.boolean("is_fatal", default=False),
            is_retry_wanted=fields.boolean("is_retry_wanted", default=False),
            retry_after_ms=fields.optional_integer("retry_after_ms", highest=_LONGEST_DELAY_MS),
            error_types=fields.texts("error_types", ()),
            is_retry_approved=fields.boolean("is_retry_approved", default=False),
        )
        fields.close()
        return failure


def absorb(returned: object, context: Context) -> Context:
    """Return the context that a body leaves behind.

    Args:
        returned: what the body returned: a Context is that one, None keeps `context` with
            the changes made in place, a mapping is merged into it.
        context: the one that the body was given; changed when a mapping is merged.

    Raises:
        InvalidReturnError: for anything else.
        InvalidContextValueError: if the mapping holds what JSON cannot.
    """
    match returned:
        case Context():
            return returned
        case None:
            return context
        case Mapping():
            context.update_from_dict(cast("Mapping[str, JsonValue]", returned))
            return context
        case _:
            raise InvalidReturnError(type(returned).__name__, _hint(returned))


def failure_of(error: BaseException) -> TaskFailure:
    """Describe an exception that ended an attempt."""
    message = _printable(_message_of(error))
    lines = _printable("".join(traceback.format_exception(error)))
    return TaskFailure(
        error_type=type_name(type(error)),
        message=message[:TEXT_LIMIT_BYTES].decode("utf-8", "ignore"),
        traceback=lines[-TEXT_LIMIT_BYTES:].decode("utf-8", "ignore"),
        is_transient=_is_transient(error),
        is_fatal=isinstance(error, Fatal),
        is_retry_wanted=isinstance(error, Retry),
        retry_after_ms=error.after_ms if isinstance(error, Retry) else None,
        error_types=tuple(type_name(kind) for kind in _classes_of(error)),
        is_retry_approved=is_retry_approved(error),
        left=left_behind(error),
    )


def _hint(returned: object) -> str:
    if isinstance(returned, Coroutine):
        returned.close()  # nobody will await it, and the interpreter would warn about that
    if isinstance(returned, Awaitable):
        return "the task's function must be declared `async def` to be awaited; "
    return ""


def type_name(kind: type[BaseException]) -> str:
    """Return the bare name of a built-in exception class, else `module.Name`."""
    if kind.__module__ == "builtins":
        return kind.__name__
    name = f"{kind.__module__}.{kind.__qualname__}"  # the task's own class may have odd ones
    return _printable(name)[:NAME_LIMIT_BYTES].decode("utf-8", "ignore")


def _classes_of(error: BaseException) -> list[type[BaseException]]:
    classes = [kind for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    return classes[:_MOST_CLASSES]


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as nested:  # noqa: BLE001 - the task's own exception class runs here
        return f"<its text cannot be read: {type(nested).__name__}>"


def _printable(text: str) -> bytes:
    # Databases store neither NUL nor lone surrogates.
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace")


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, WaitTimedOutError):
        return False  # the next run would find the same
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _TRANSIENT_NUMBERS:
        return True
    return is_contention(error)
