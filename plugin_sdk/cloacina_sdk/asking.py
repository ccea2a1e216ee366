"""What a body that runs asks of the engine, and what it is answered."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from cloacina_sdk.document import Fields
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.waiting import checkpoint_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Keep a value for later runs of the body, in place of the one before.

    Attributes:
        text: the value as JSON text, at most `LARGEST_CHECKPOINT_BYTES` of it.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Give the slot to others while the body waits where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpark:
    """Take a slot again, once one is free."""


Ask: TypeAlias = Checkpoint | Park | Unpark
"""What a body that runs may ask of the engine, one thing at a time."""

_ASKS: dict[str, type[Park] | type[Unpark]] = {"Park": Park, "Unpark": Unpark}


class Reply(enum.StrEnum):
    """What the engine answers to an `Ask`."""

    DONE = "Done"
    """The checkpoint is durable, the slot given back, or one taken."""
    LOST = "Lost"
    """The attempt is not the one that runs any more; nothing that it does counts."""


def ask_document(ask: Ask) -> dict[str, JsonValue]:
    """Return an object that `read_ask` reads."""
    members: dict[str, JsonValue] = {"ask": type(ask).__name__}
    return {**members, "text": ask.text} if isinstance(ask, Checkpoint) else members


def read_ask(fields: Fields) -> Ask:
    """Read what `ask_document` returned; what is wrong with it is added to its problems."""
    kind = fields.choice("ask", ("Checkpoint", *_ASKS))
    ask = _ASKS[kind]() if kind in _ASKS else Checkpoint(text=checkpoint_text(fields))
    fields.close()
    return ask
