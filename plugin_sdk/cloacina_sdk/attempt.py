"""One attempt as data: what an executor is given, and what it answers.

Both are JSON documents that are read strictly, so that an executor may run an attempt in another
process or on another machine with nothing of the engine's but these two texts.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloacina_sdk.changes import Changes
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDocumentError, InvalidNamespaceError
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.mapped import Element
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.waiting import Memory, Wait

_HIGHEST: Final = 2**53
_MOST_URGENT: Final = 1_000_000


class ResultStatus(enum.StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DEFERRED = "Deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReadyEvent:
    """One attempt of one task, recorded as running and not yet begun.

    Attributes:
        execution_id: the execution that it belongs to, a UUID.
        namespace: tenant, package, workflow and task.
        attempt: counted from 1.
        token: proof that a result is about this very attempt; unique and not to be guessed.
        texts: the merged context, key -> JSON text.
        workflow_version: of the workflow that the execution is pinned to.
        package_digest: of the package whose worker runs it; None for an embedded task.
        import_path: `module:qualified.name` of an embedded task's body; None where no other
            process could import it, and for packages.
        is_async: whether the body is a coroutine function.
        timeout_ms: after how long the engine gives the attempt up; None for never.
        priority: of the execution; higher is more urgent.
        element: what the attempt is for, if its task is mapped; it is to be handed to `perform`.
        memory: what earlier runs left; None where the task takes no handle.
    """

    execution_id: str
    namespace: TaskNamespace
    attempt: int
    token: str
    texts: Mapping[str, str]
    workflow_version: str
    package_digest: str | None = None
    import_path: str | None = None
    is_async: bool = False
    timeout_ms: int | None = None
    priority: int = 0
    element: Element | None = None
    memory: Memory | None = None

    def to_json(self) -> str:
        """Return a JSON text that `from_json` reads; the context is not parsed for it."""
        header: dict[str, JsonValue] = {
            "type": "task_ready",
            "execution_id": self.execution_id,
            "namespace": str(self.namespace),
            "attempt": self.attempt,
            "token": self.token,
            "workflow_version": self.workflow_version,
            "package_digest": self.package_digest,
            "import_path": self.import_path,
            "is_async": self.is_async,
            "timeout_ms": self.timeout_ms,
            "priority": self.priority,
        }
        if self.memory is not None:
            header["memory"] = self.memory.to_document()
        members = ",".join(f"{encode(key)}:{text}" for key, text in self.texts.items())
        element = "null" if self.element is None else self.element.to_json()
        return f'{encode(header)[:-1]},"element":{element},"context":{{{members}}}}}'

    @classmethod
    def from_json(cls, text: str) -> TaskReadyEvent:
        """Read what `to_json` wrote.

        Raises:
            InvalidJsonError: if the text is not JSON.
            InvalidDocumentError: if its value has another form; it names every problem.
        """
        problems: list[str] = []
        fields = Fields(decode(text), "$", problems)
        fields.choice("type", ("task_ready",))
        event = cls(
            execution_id=fields.text("execution_id"),
            namespace=_namespace(fields),
            attempt=fields.integer("attempt", lowest=1, highest=_HIGHEST),
            token=fields.text("token"),
            texts={key: encode(value) for key, value in fields.members("context").items()},
            workflow_version=fields.text("workflow_version"),
            package_digest=fields.optional_text("package_digest"),
            import_path=fields.optional_text("import_path"),
            is_async=fields.boolean("is_async"),
            timeout_ms=fields.optional_integer("timeout_ms", highest=_HIGHEST),
            priority=fields.integer("priority", lowest=-_MOST_URGENT, highest=_MOST_URGENT),
            element=_element(fields),
            memory=_memory(fields),
        )
        _close("task_ready event", fields, problems)
        return event


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """How one attempt ended; made by `succeeded`, `failed` or `waiting`.

    Attributes:
        token: of the attempt that this is about.
        changes: what the body changed in its context; None unless it succeeded.
        failure: why it failed; None unless it failed.
        deferred: what is to happen before the body runs again; None unless it was deferred.
    """

    token: str
    status: ResultStatus
    changes: Changes | None = None
    failure: TaskFailure | None = None
    deferred: Wait | None = None

    def __post_init__(self) -> None:
        """Refuse a result that does not have what its status says, and nothing else.

        Raises:
            InvalidDocumentError: if it is so.
        """
        parts = {
            ResultStatus.SUCCEEDED: self.changes,
            ResultStatus.FAILED: self.failure,
            ResultStatus.DEFERRED: self.deferred,
        }
        if [status for status, part in parts.items() if part is not None] != [self.status]:
            problem = (
                "$ must have changes if it succeeded, a failure if it failed, and a wait if it was "
                "deferred, and only that"
            )
            raise InvalidDocumentError("execution result", [problem])

    @classmethod
    def succeeded(cls, token: str, changes: Changes) -> ExecutionResult:
        """Return the result of a body that returned."""
        return cls(token=token, status=ResultStatus.SUCCEEDED, changes=changes)

    @classmethod
    def failed(cls, token: str, failure: TaskFailure) -> ExecutionResult:
        """Return the result of an attempt that failed."""
        return cls(token=token, status=ResultStatus.FAILED, failure=failure)

    @classmethod
    def waiting(cls, token: str, wait: Wait) -> ExecutionResult:
        """Return the result of a run that ended to wait."""
        return cls(token=token, status=ResultStatus.DEFERRED, deferred=wait)

    @classmethod
    def of(cls, token: str, outcome: Changes | TaskFailure | Wait) -> ExecutionResult:
        """Return the result that `outcome` makes."""
        match outcome:
            case Changes():
                return cls.succeeded(token, outcome)
            case TaskFailure():
                return cls.failed(token, outcome)
            case Wait():
                return cls.waiting(token, outcome)

    @property
    def outcome(self) -> Changes | TaskFailure | Wait:
        """The changes, the failure, or what the task waits for."""
        found = self.changes or self.failure or self.deferred
        assert found is not None  # noqa: S101 - checked when it was made
        return found

    def to_json(self) -> str:
        """Return a JSON text that `from_json` reads."""
        failure = None if self.failure is None else self.failure.to_document()
        changes = "null" if self.changes is None else self.changes.to_json()
        header: dict[str, JsonValue] = {
            "token": self.token,
            "status": self.status.value,
            "failure": failure,
        }
        if self.deferred is not None:
            header["deferred"] = self.deferred.to_document()
        return f'{encode(header)[:-1]},"changes":{changes}}}'

    @classmethod
    def from_json(cls, text: str) -> ExecutionResult:
        """Read what `to_json` wrote.

        Raises:
            InvalidJsonError: if the text is not JSON.
            InvalidDocumentError: if its value has another form; it names every problem.
        """
        problems: list[str] = []
        fields = Fields(decode(text), "$", problems)
        token = fields.text("token")
        status = fields.choice("status", [status.value for status in ResultStatus])
        raw_changes, raw_failure = fields.value("changes", None), fields.value("failure", None)
        raw_deferred = fields.value("deferred", None)
        changes = failure = deferred = None
        if raw_changes is not None:
            changes = Changes.read(Fields(raw_changes, "$.changes", problems))
        if raw_failure is not None:
            failure = TaskFailure.read(Fields(raw_failure, "$.failure", problems))
        if raw_deferred is not None:
            deferred = Wait.read(Fields(raw_deferred, "$.deferred", problems))
        _close("execution result", fields, problems)
        return cls(
            token=token,
            status=ResultStatus(status),
            changes=changes,
            failure=failure,
            deferred=deferred,
        )


def _namespace(fields: Fields) -> TaskNamespace:
    text = fields.text("namespace")
    try:
        return TaskNamespace.from_string(text)
    except InvalidNamespaceError as error:
        if text:  # a missing one is reported already
            fields.problems.append(f"{fields.path_of('namespace')}: {error}")
        return TaskNamespace("", "", "", "")


def _element(fields: Fields) -> Element | None:
    raw = fields.value("element", None)
    return None if raw is None else Element.read(Fields(raw, "$.element", fields.problems))


def _memory(fields: Fields) -> Memory | None:
    raw = fields.value("memory", None)
    return None if raw is None else Memory.read(Fields(raw, "$.memory", fields.problems))


def _close(what: str, fields: Fields, problems: list[str]) -> None:
    fields.close()
    if problems:
        raise InvalidDocumentError(what, problems)
