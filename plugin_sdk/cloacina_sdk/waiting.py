"""What a task waits for, and what earlier runs of its body left, as data.

* A wait that is data outlives the process: the run of the body ends, and another one begins from
  the top when the wait is over.
* The waits of a task are told apart by their place: the n-th of a run is the n-th that is kept.
* Values are kept as the JSON texts that they came as.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidJsonError
from cloacina_sdk.json_text import JsonValue, decode

NAME: Final = re.compile(r"[^\x00\ud800-\udfff]{1,200}")
"""What an event or a condition may be called."""
NAME_IN_WORDS: Final = "1 to 200 characters without NUL"
LONGEST_MS: Final = 100 * 366 * 24 * 3600 * 1000
"""The longest delay, poll interval and timeout: a hundred years."""
LATEST_US: Final = 253_402_300_799_999_999
"""The last moment that a wait may name, in microseconds since 1970: the end of the year 9999."""

LARGEST_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
"""The largest checkpoint, as JSON text in UTF-8; it has to travel beside the context."""


class WaitKind(enum.StrEnum):
    """What ends a wait."""

    TIME = "Time"
    EVENT = "Event"
    CONDITION = "Condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What the run of a body ended for; made by `until`, `delay`, `event` or `condition`.

    Attributes:
        name: of the event or the condition; None for a time.
        until_us: the moment, in microseconds since 1970 (UTC); only for a time.
        delay_ms: counted from when the wait is recorded; only for a time without a moment.
        poll_ms: how long after one call of the condition the next one comes; only for a condition.
        timeout_ms: after how long the wait is given up; None for never, as always for a time.
    """

    kind: WaitKind
    name: str | None = None
    until_us: int | None = None
    delay_ms: int | None = None
    poll_ms: int | None = None
    timeout_ms: int | None = None

    @classmethod
    def until(cls, moment_us: int) -> Wait:
        """Return a wait for a moment."""
        return cls(kind=WaitKind.TIME, until_us=moment_us)

    @classmethod
    def delay(cls, delay_ms: int) -> Wait:
        """Return a wait for a time from now on."""
        return cls(kind=WaitKind.TIME, delay_ms=delay_ms)

    @classmethod
    def event(cls, name: str, *, timeout_ms: int | None = None) -> Wait:
        """Return a wait for an event."""
        return cls(kind=WaitKind.EVENT, name=name, timeout_ms=timeout_ms)

    @classmethod
    def condition(cls, name: str, *, poll_ms: int, timeout_ms: int | None = None) -> Wait:
        """Return a wait for a condition that the runner knows by name."""
        return cls(kind=WaitKind.CONDITION, name=name, poll_ms=poll_ms, timeout_ms=timeout_ms)

    def __str__(self) -> str:
        return _words(self.kind, self.name)

    def to_document(self) -> dict[str, JsonValue]:
        """Return an object that `read` reads; it has what the kind has, and no more."""
        members: dict[str, JsonValue] = {
            "name": self.name,
            "until_us": self.until_us,
            "delay_ms": self.delay_ms,
            "poll_ms": self.poll_ms,
            "timeout_ms": self.timeout_ms,
        }
        given = {key: value for key, value in members.items() if value is not None}
        return {"kind": self.kind.value, **given}

    @classmethod
    def read(cls, fields: Fields) -> Wait:
        """Read what `to_document` returned; what is wrong with it is added to its problems."""
        match kind := _kind(fields):
            case WaitKind.TIME:
                wait = cls(
                    kind=kind,
                    until_us=fields.optional_integer("until_us", highest=LATEST_US),
                    delay_ms=fields.optional_integer("delay_ms", highest=LONGEST_MS),
                )
                if (wait.until_us is None) == (wait.delay_ms is None):
                    fields.problems.append(f"{fields.path} must have either until_us or delay_ms")
            case WaitKind.EVENT:
                wait = cls.event(_name(fields), timeout_ms=_timeout(fields))
            case WaitKind.CONDITION:
                poll_ms = fields.integer("poll_ms", lowest=1, highest=LONGEST_MS)
                wait = cls.condition(_name(fields), poll_ms=poll_ms, timeout_ms=_timeout(fields))
        fields.close()
        return wait


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedWait:
    """A wait that is behind the body.

    Attributes:
        name: of the event or the condition; None for a time.
        is_timed_out: whether it was given up; never for a time.
        payload: the JSON text of what came with the event; None for other kinds, and if none came.
    """

    kind: WaitKind
    name: str | None = None
    is_timed_out: bool = False
    payload: str | None = None

    def __str__(self) -> str:
        return _words(self.kind, self.name)

    def to_document(self) -> dict[str, JsonValue]:
        """Return an object that `read` reads."""
        members: dict[str, JsonValue] = {"name": self.name, "payload": self.payload}
        if self.is_timed_out:
            members["is_timed_out"] = True
        given = {key: value for key, value in members.items() if value is not None}
        return {"kind": self.kind.value, **given}

    @classmethod
    def read(cls, fields: Fields) -> PassedWait:
        """Read what `to_document` returned; what is wrong with it is added to its problems."""
        kind = _kind(fields)
        passed = cls(
            kind=kind,
            name=None if kind is WaitKind.TIME else _name(fields),
            is_timed_out=fields.boolean("is_timed_out", default=False),
            payload=_json(fields, "payload"),
        )
        if passed.is_timed_out and kind is WaitKind.TIME:
            fields.problems.append(f"{fields.path_of('is_timed_out')} is never so for a time")
        if passed.payload is not None and (kind is not WaitKind.EVENT or passed.is_timed_out):
            fields.problems.append(f"{fields.path_of('payload')} is that of an event that came")
        fields.close()
        return passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What earlier runs of a body left to the next one.

    Attributes:
        waits: those that are over, in the order in which the body came to them.
        checkpoint: the JSON text of the value that was stored last, or None.
    """

    waits: tuple[PassedWait, ...] = ()
    checkpoint: str | None = None

    def to_document(self) -> dict[str, JsonValue]:
        """Return an object that `read` reads."""
        return {
            "waits": [wait.to_document() for wait in self.waits],
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def read(cls, fields: Fields) -> Memory:
        """Read what `to_document` returned; what is wrong with it is added to its problems."""
        memory = cls(
            waits=tuple(PassedWait.read(each) for each in fields.each("waits")),
            checkpoint=_json(fields, "checkpoint"),
        )
        fields.close()
        return memory


def _words(kind: WaitKind, name: str | None) -> str:
    match kind:
        case WaitKind.TIME:
            return "a time"
        case WaitKind.EVENT:
            return f"the event {name!r}"
        case WaitKind.CONDITION:
            return f"the condition {name!r}"


def checkpoint_text(fields: Fields) -> str:
    """Take the member `text` as a checkpoint's; one that cannot be kept is a problem."""
    text = fields.text("text")
    size = len(text.encode("utf-8"))
    if size > LARGEST_CHECKPOINT_BYTES:
        fields.problems.append(f"{fields.path_of('text')} has {size:,} bytes, which is too much")
    elif fields.is_object:
        _check_json(fields, "text", text)
    return text


def _kind(fields: Fields) -> WaitKind:
    return WaitKind(fields.choice("kind", [kind.value for kind in WaitKind]))


def _name(fields: Fields) -> str:
    return fields.text("name", form=NAME, expected=NAME_IN_WORDS)


def _timeout(fields: Fields) -> int | None:
    return fields.optional_integer("timeout_ms", highest=LONGEST_MS)


def _json(fields: Fields, key: str) -> str | None:
    text = fields.optional_text(key)
    if text is not None:
        _check_json(fields, key, text)
    return text


def _check_json(fields: Fields, key: str, text: str) -> None:
    try:
        decode(text)
    except InvalidJsonError as error:
        fields.problems.append(f"{fields.path_of(key)}: {error}")
