"""Which failures are worth another attempt.

* A condition is data: it is compared, written to JSON and read back, and decides the same
  everywhere. Exception classes become their full names, which are looked for among the names of
  the raised error's class and its bases.
* A predicate is a function, and only its name and the fingerprint of its code are data: it is
  asked where the body ran, and its verdict travels with the failure.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.outcome import TaskFailure, type_name

TRANSIENT_TEXTS = (
    "timeout",
    "connection",
    "network",
    "temporary",
    "unavailable",
    "busy",
    "overloaded",
    "rate limit",
)
_OF_NO_CLASS = ("Exception", "BaseException")
"""What a failure counts as that no exception stands behind, such as a worker that crashed."""

Predicate: TypeAlias = Callable[[BaseException], bool]


class ConditionKind(enum.StrEnum):
    """Which failures a condition matches."""

    ALL_ERRORS = "AllErrors"
    NEVER = "Never"
    TRANSIENT_ONLY = "TransientOnly"
    ERROR_PATTERN = "ErrorPattern"
    EXCEPTION_TYPES = "ExceptionTypes"
    PREDICATE = "Predicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCondition:
    """Which failures are worth another attempt; make one with the static methods.

    Attributes:
        patterns: texts of which one has to occur, for an error pattern.
        types: names of exception classes, as `TaskFailure.error_types` has them.
        name: `module.name` of a predicate.
        fingerprint: of a predicate's code.
        function: the predicate itself, where its code is; never part of a document.
    """

    kind: ConditionKind
    patterns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    name: str = ""
    fingerprint: str = ""
    function: Predicate | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def never() -> RetryCondition:
        """Match no failure."""
        return RetryCondition(kind=ConditionKind.NEVER)

    @staticmethod
    def transient_only() -> RetryCondition:
        """Match failures that may pass: by their type, or by words such as "timeout"."""
        return RetryCondition(kind=ConditionKind.TRANSIENT_ONLY)

    @staticmethod
    def all_errors() -> RetryCondition:
        """Match every failure."""
        return RetryCondition(kind=ConditionKind.ALL_ERRORS)

    @staticmethod
    def error_pattern(patterns: Sequence[str]) -> RetryCondition:
        """Match failures whose type or message contains one of the texts, in any case."""
        given: list[object] = [patterns] if isinstance(patterns, str) else list(patterns)
        texts = tuple(text for text in given if isinstance(text, str) and text)
        if not texts or len(texts) < len(given):
            raise InvalidDefinitionError(
                "error_pattern() takes at least one text that is not empty"
            )
        return RetryCondition(kind=ConditionKind.ERROR_PATTERN, patterns=texts)

    @staticmethod
    def exceptions(*types: type[BaseException]) -> RetryCondition:
        """Match errors of one of these classes, or of a class derived from one."""
        given: tuple[object, ...] = types
        for kind in given:
            if not isinstance(kind, type) or not issubclass(kind, BaseException):
                raise InvalidDefinitionError(f"exceptions() takes exception classes, not {kind!r}")
        if not types:
            raise InvalidDefinitionError("exceptions() takes at least one exception class")
        names = tuple(dict.fromkeys(type_name(kind) for kind in types))
        return RetryCondition(kind=ConditionKind.EXCEPTION_TYPES, types=names)

    @staticmethod
    def when(predicate: Predicate) -> RetryCondition:
        """Match errors for which a function of the error returns true.

        It is called where the body ran. What no exception stands behind, such as a crash or a
        timeout, it is not asked about and does not match; nor does an error for which it raises.
        """
        from cloacina_sdk.fingerprint import code_fingerprint  # noqa: PLC0415 - it reads source

        given: object = predicate
        if not callable(given) or inspect.iscoroutinefunction(predicate):
            raise InvalidDefinitionError(
                f"when() takes a plain function of the error, not {predicate!r}"
            )
        named = predicate if hasattr(predicate, "__qualname__") else type(predicate)
        return RetryCondition(
            kind=ConditionKind.PREDICATE,
            name=f"{named.__module__}.{named.__qualname__}",
            fingerprint=code_fingerprint(predicate).digest,
            function=predicate,
        )

    def matches(self, failure: TaskFailure) -> bool:
        """Tell whether a failure is worth another attempt."""
        match self.kind:
            case ConditionKind.ALL_ERRORS:
                return True
            case ConditionKind.NEVER:
                return False
            case ConditionKind.TRANSIENT_ONLY:
                return failure.is_transient or _mentions(failure, TRANSIENT_TEXTS)
            case ConditionKind.ERROR_PATTERN:
                return _mentions(failure, self.patterns)
            case ConditionKind.EXCEPTION_TYPES:
                found = {failure.error_type, *(failure.error_types or _OF_NO_CLASS)}
                return not found.isdisjoint(self.types)
            case ConditionKind.PREDICATE:
                return failure.is_retry_approved

    def to_document(self) -> dict[str, JsonValue]:
        """Return the JSON form."""
        document: dict[str, JsonValue] = {"type": self.kind.value}
        match self.kind:
            case ConditionKind.ERROR_PATTERN:
                document["patterns"] = list(self.patterns)
            case ConditionKind.EXCEPTION_TYPES:
                document["types"] = list(self.types)
            case ConditionKind.PREDICATE:
                document |= {"name": self.name, "fingerprint": self.fingerprint}
            case _:
                pass  # the type says all
        return document


ConditionLike: TypeAlias = RetryCondition | type[BaseException] | Predicate
"""A condition, or what makes one: an exception class, or a predicate."""


def as_conditions(given: object) -> tuple[RetryCondition, ...]:
    """Return the conditions that one or several of `ConditionLike` make.

    Raises:
        InvalidDefinitionError: for anything else.
    """
    several = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    types = [each for each in several if isinstance(each, type)]
    conditions = [_condition(each) for each in several if not isinstance(each, type)]
    if types:
        conditions.insert(0, RetryCondition.exceptions(*types))
    return tuple(conditions)


def read_condition(fields: Fields) -> RetryCondition:
    """Read the JSON form; with a problem the result is a stand-in."""
    kind = ConditionKind(fields.choice("type", [kind.value for kind in ConditionKind]))
    patterns = _texts(fields, "patterns") if kind is ConditionKind.ERROR_PATTERN else ()
    types = _texts(fields, "types") if kind is ConditionKind.EXCEPTION_TYPES else ()
    is_predicate = kind is ConditionKind.PREDICATE
    condition = RetryCondition(
        kind=kind,
        patterns=patterns,
        types=types,
        name=fields.text("name") if is_predicate else "",
        fingerprint=fields.text("fingerprint") if is_predicate else "",
    )
    fields.close()
    return condition


def _condition(given: object) -> RetryCondition:
    if isinstance(given, RetryCondition):
        return given
    if callable(given):
        return RetryCondition.when(cast("Predicate", given))
    raise InvalidDefinitionError(
        f"each condition of a retry policy must be a RetryCondition, an exception class or a "
        f"function of the error, not {given!r}"
    )


def _texts(fields: Fields, key: str) -> tuple[str, ...]:
    before = len(fields.problems)
    texts = fields.texts(key)
    if not (texts and all(texts)) and len(fields.problems) == before:
        path = fields.path_of(key)
        fields.problems.append(f"{path} must hold at least one text, and none that is empty")
    return texts


def _mentions(failure: TaskFailure, texts: Sequence[str]) -> bool:
    said = f"{failure.error_type}: {failure.message}".lower()
    return any(text.lower() in said for text in texts)
