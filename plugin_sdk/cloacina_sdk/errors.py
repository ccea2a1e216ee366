"""Every error that the SDK raises.

* One root, `CloacinaError`; each error also derives the builtin that fits, so that
  `except ValueError` in an older script keeps working.
* A constructor takes facts, builds the sentence from them and keeps them as attributes.
"""

from __future__ import annotations

from collections.abc import Iterable


class CloacinaError(Exception):
    """The root of every error that Cloacina raises on purpose."""


class InvalidContextValueError(CloacinaError, TypeError, ValueError):
    """A value that JSON cannot hold was offered; `path` says where it sits."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path} {reason}; store None, bool, int, float, str, or lists and dicts of these"
        )


class InvalidJsonError(CloacinaError, ValueError):
    """A text is not the JSON that was expected."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The text is not valid JSON: {reason}")


class ContextKeyError(CloacinaError, KeyError):
    """A context has no such key; `present` lists the keys that it has."""

    def __init__(self, key: object, present: Iterable[str] = ()) -> None:
        self.key = key
        self.present = tuple(present)
        super().__init__(key)

    def __str__(self) -> str:
        shown = ", ".join(repr(name) for name in self.present[:10])
        if len(self.present) > 10:
            shown += f" and {len(self.present) - 10} more"
        return f"Key not found: {self.key!r}; the context holds {shown or 'no keys'}"


class ContextKeyExistsError(CloacinaError, ValueError):
    """`Context.insert` met a key that is there already."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"Key already exists: {key!r}; use set() to replace its value")


class InvalidDefinitionError(CloacinaError, ValueError):
    """A task, a builder or a policy was described in a way that cannot work."""


class InvalidDurationError(CloacinaError, ValueError):
    """A duration is written in no valid form."""

    def __init__(self, value: object, reason: str) -> None:
        self.value = value
        self.reason = reason
        super().__init__(
            f"{value!r} is not a duration: {reason}; write a timedelta, a number of seconds, "
            "or text such as '250ms', '5s', '2m', '1h' or '1d'"
        )


class InvalidWaitError(CloacinaError, TypeError, ValueError):
    """A handle was asked to wait in a way that cannot work."""


class WaitTimedOutError(CloacinaError, TimeoutError):
    """A wait was given up after its timeout; `awaited` says in words what did not come."""

    def __init__(self, awaited: str, timeout_ms: int | None) -> None:
        self.awaited = awaited
        self.timeout_ms = timeout_ms
        after = "" if timeout_ms is None else f" after {timeout_ms / 1000:g} s"
        super().__init__(f"The wait for {awaited} was given up{after}")


class HandleMisuseError(CloacinaError, RuntimeError):
    """A handle was used where, or when, it cannot do what was asked."""


class InvalidProgressError(CloacinaError, TypeError, ValueError):
    """What a heartbeat tells is no share of the whole."""

    def __init__(self, progress: object) -> None:
        self.progress = progress
        super().__init__(f"Progress is a number from 0 to 1, not {progress!r}")


class CheckpointTooLargeError(CloacinaError, ValueError):
    """A checkpoint is larger than what can be kept."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            f"A checkpoint of {size_bytes:,} bytes is over the limit of {limit_bytes:,} bytes; "
            "keep large data in files or a store, and its name in the checkpoint"
        )


class InvalidNamespaceError(CloacinaError, ValueError):
    """A text is not the full name of a task."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(
            f"{text!r} is not the full name of a task; "
            "write tenant::package::workflow::task with four parts that are not empty"
        )


class InvalidReturnError(CloacinaError, TypeError):
    """A task's body returned something that is no context."""

    def __init__(self, type_name: str, hint: str) -> None:
        self.type_name = type_name
        super().__init__(
            f"The task returned {_with_article(type_name)}; {hint}"
            "return the Context, a mapping to merge into it, or None to keep changes made in place"
        )


class MappedContextChangedError(CloacinaError, TypeError):
    """The body of a mapped task changed its context; `keys` are those that it changed."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(sorted(keys))
        super().__init__(
            f"The body of a mapped task changed its context ({', '.join(map(repr, self.keys[:5]))}"
            f"{', ...' if len(self.keys) > 5 else ''}), which all elements share; "
            "return the element's result instead"
        )


class UnknownNameError(CloacinaError, KeyError):
    """Something was asked for by a name that nothing has; `known` lists the names there are."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(name)

    def __str__(self) -> str:
        return (
            f"There is no {self.kind} {self.name!r}; known are: {', '.join(self.known) or 'none'}"
        )


class CycleError(CloacinaError, ValueError):
    """Tasks wait for one another; `path` starts and ends with the same task."""

    def __init__(self, path: Iterable[str]) -> None:
        self.path = tuple(path)
        super().__init__(f"The dependencies form a cycle: {' -> '.join(self.path)}")


class InvalidWorkflowError(CloacinaError, ValueError):
    """A workflow breaks rules; `problems` holds one sentence for each violation."""

    def __init__(self, name: str, problems: Iterable[str]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__(f"Workflow {name!r} is not valid: {_listed(self.problems)}")


class InvalidRuleError(CloacinaError, ValueError):
    """A trigger rule is malformed; `problems` holds one sentence for each violation."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The trigger rule is not valid: {_listed(self.problems)}")


class InvalidDocumentError(CloacinaError, ValueError):
    """A JSON document does not describe what it should; `problems` name each path."""

    def __init__(self, what: str, problems: Iterable[str]) -> None:
        self.what = what
        self.problems = tuple(problems)
        super().__init__(f"The document describes no {what}: {_listed(self.problems)}")


class InvalidManifestError(CloacinaError, ValueError):
    """A package's manifest is refused; `problems` hold every reason with its JSON path."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The manifest is not valid: {_listed(self.problems)}")


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in tuple('aeiou') else 'a'} {noun}"


def _listed(problems: tuple[str, ...]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "".join(f"\n  - {problem}" for problem in problems)
