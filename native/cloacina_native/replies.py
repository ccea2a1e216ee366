"""What a worker may answer, parsed from frames that nobody vouches for.

* Every field is there and of its kind, and no other; texts are bounded.
* A context's texts are JSON by the rules that contexts keep; whatever breaks a rule is a
  `ProtocolError`, after which the worker is not believed any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from cloacina_native.errors import ProtocolError
from cloacina_native.frames import Frame, unpack_texts
from cloacina_native.log_lines import LogLine, LogSource, printable
from cloacina_sdk.asking import Ask, Checkpoint, read_ask
from cloacina_sdk.changes import Changes
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidJsonError, InvalidWorkflowError
from cloacina_sdk.json_text import decode
from cloacina_sdk.log_line import progress_line
from cloacina_sdk.outcome import NAME_LIMIT_BYTES, TEXT_LIMIT_BYTES, TaskFailure
from cloacina_sdk.spec import WorkflowSpec, read_workflow
from cloacina_sdk.waiting import Wait

_HIGHEST_LEVEL = 1_000_000
_LONGEST_DELAY_MS = 366 * 24 * 3600 * 1000
_LOGGER_LIMIT = 200
_MOST_TYPES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The package is imported and offers these workflows, all valid, each name once."""

    workflows: tuple[WorkflowSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailed:
    """The package's modules raised."""

    failure: TaskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The attempt's body returned."""

    token: str
    changes: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt's body raised."""

    token: str
    failure: TaskFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A log record, or progress; the token is "" when it was written while no attempt ran."""

    token: str
    line: LogLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The run of the attempt's body ended to wait."""

    token: str
    wait: Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The attempt's body asks the engine for something, and waits for the answer."""

    token: str
    ask: Ask


Reply: TypeAlias = Loaded | LoadFailed | Finished | Failed | Waiting | Asked | Logged


def parse_reply(frame: Frame) -> Reply:
    """Return what a frame from a worker says.

    Raises:
        ProtocolError: with everything that is wrong with it.
    """
    problems: list[str] = []
    fields = Fields(frame.header, "$", problems)
    kind = fields.choice("type", _READERS)
    reply = None if problems else _READERS[kind](fields, frame.body)
    fields.close()
    if problems or reply is None:
        raise ProtocolError("; ".join(problems))
    return reply


def _loaded(fields: Fields, body: bytes) -> Loaded | None:
    _no_body(fields, body)
    workflows = tuple(read_workflow(each) for each in fields.each("workflows"))
    if fields.problems:
        return None
    for workflow in workflows:
        try:
            workflow.validate()
        except InvalidWorkflowError as error:
            fields.problems.append(str(error))
    if len({workflow.name for workflow in workflows}) < len(workflows):
        fields.problems.append("two workflows have one name")
    return Loaded(workflows=workflows)


def _load_failed(fields: Fields, body: bytes) -> LoadFailed:
    _no_body(fields, body)
    return LoadFailed(failure=_failure(fields, is_transient=False))


def _finished(fields: Fields, body: bytes) -> Finished | None:
    token = fields.text("token")
    raw_keys = fields.value("keys")
    removed = fields.texts("removed")
    if fields.problems:
        return None
    assigned = unpack_texts(raw_keys, body)
    if len(set(removed)) < len(removed) or assigned.keys() & set(removed):
        fields.problems.append("$.removed names a key twice, or one that is assigned")
    for key, text in assigned.items():
        try:
            decode(text)
        except InvalidJsonError as error:
            fields.problems.append(f"the value of {key!r}: {error}")
    changes = Changes(assigned=assigned, removed=frozenset(removed))
    return Finished(token=token, changes=changes)


def _failed(fields: Fields, body: bytes) -> Failed:
    _no_body(fields, body)
    token = fields.text("token")
    is_transient = fields.boolean("is_transient")
    failure = replace(
        _failure(fields, is_transient=is_transient),
        is_fatal=fields.boolean("is_fatal"),
        is_retry_wanted=fields.boolean("is_retry_wanted"),
        retry_after_ms=fields.optional_integer("retry_after_ms", highest=_LONGEST_DELAY_MS),
        error_types=_error_types(fields),
        is_retry_approved=fields.boolean("is_retry_approved"),
    )
    return Failed(token=token, failure=failure)


def _logged(fields: Fields, body: bytes) -> Logged:
    line = LogLine(
        source=LogSource.LOGGING,
        text=printable(body.decode("utf-8", "backslashreplace")),
        level=fields.integer("level", highest=_HIGHEST_LEVEL),
        logger=printable(fields.text("logger"))[:_LOGGER_LIMIT],
    )
    return Logged(token=fields.text("token"), line=line)


def _waiting(fields: Fields, body: bytes) -> Waiting:
    _no_body(fields, body)
    return Waiting(token=fields.text("token"), wait=Wait.read(fields.inner("wait")))


def _asked(fields: Fields, body: bytes) -> Asked:
    raw_ask: dict[str, object] = {"ask": fields.value("ask")}
    if body or raw_ask["ask"] == Checkpoint.__name__:
        try:
            raw_ask["text"] = body.decode("utf-8")
        except UnicodeDecodeError:
            fields.problems.append("the text of a checkpoint is not UTF-8")
    ask = read_ask(Fields(raw_ask, fields.path, fields.problems))
    return Asked(token=fields.text("token"), ask=ask)


def _progress(fields: Fields, body: bytes) -> Logged | None:
    _no_body(fields, body)
    token, progress = fields.text("token"), fields.value("progress")
    match progress:
        case int() | float() if not isinstance(progress, bool) and 0 <= progress <= 1:
            return Logged(token=token, line=progress_line(progress))
        case _:
            fields.problems.append(f"{fields.path_of('progress')} must be a number from 0 to 1")
            return None


def _failure(fields: Fields, *, is_transient: bool) -> TaskFailure:
    return TaskFailure(
        error_type=_bounded(fields, "error_type"),
        message=_bounded(fields, "message"),
        traceback=_bounded(fields, "traceback"),
        is_transient=is_transient,
    )


def _error_types(fields: Fields) -> tuple[str, ...]:
    names = fields.texts("error_types")
    if len(names) > _MOST_TYPES or any(len(name) > NAME_LIMIT_BYTES for name in names):
        fields.problems.append(
            f"{fields.path_of('error_types')} has too many names, or too long ones"
        )
    return names


def _bounded(fields: Fields, key: str) -> str:
    text = fields.text(key)
    if len(text.encode("utf-8")) > TEXT_LIMIT_BYTES or "\x00" in text:
        fields.problems.append(f"{fields.path_of(key)} is too long or holds NUL")
    return text


def _no_body(fields: Fields, body: bytes) -> None:
    if body:
        fields.problems.append(f"a body of {len(body)} bytes where none belongs")


_READERS: dict[str, Callable[[Fields, bytes], Reply | None]] = {
    "loaded": _loaded,
    "load_failed": _load_failed,
    "finished": _finished,
    "failed": _failed,
    "deferred": _waiting,
    "ask": _asked,
    "log": _logged,
    "progress": _progress,
}
