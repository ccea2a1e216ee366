"""What a task changed in its context: the keys it assigned and the keys it removed.

Both sides are compared as JSON texts, so nothing is parsed to find, store or apply a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDocumentError
from cloacina_sdk.json_text import decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The difference between two contexts.

    Attributes:
        assigned: each key that is new or has another value, with the JSON text of its value.
        removed: each key that is gone; never one that is also assigned.
    """

    assigned: Mapping[str, str]
    removed: frozenset[str]

    @classmethod
    def between(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
        """Return what turns `before` into `after`, both maps of keys to JSON texts."""
        return cls(
            assigned={key: text for key, text in after.items() if before.get(key) != text},
            removed=frozenset(before.keys() - after.keys()),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not self.assigned and not self.removed

    def applied_to(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return a map of keys to JSON texts with these changes made to it."""
        kept = {key: text for key, text in before.items() if key not in self.removed}
        return kept | dict(self.assigned)

    def to_json(self) -> str:
        """Return `{"set": {...}, "removed": [...]}` as JSON text; `{}` if nothing changed."""
        if self.is_empty:
            return "{}"
        members = ",".join(f"{encode(key)}:{text}" for key, text in self.assigned.items())
        return f'{{"set":{{{members}}},"removed":{encode(sorted(self.removed))}}}'

    @classmethod
    def from_json(cls, text: str) -> Changes:
        """Read what `to_json` wrote.

        Raises:
            InvalidJsonError: if the text is not JSON.
            InvalidDocumentError: if its value has another form.
        """
        problems: list[str] = []
        changes = cls.read(Fields(decode(text), "$", problems))
        if problems:
            raise InvalidDocumentError("changes", problems)
        return changes

    @classmethod
    def read(cls, fields: Fields) -> Changes:
        """Read an object of that form; what is wrong with it is added to its problems."""
        assigned = fields.members("set", default={})
        removed = frozenset(fields.texts("removed", default=()))
        fields.close()
        fields.problems += [
            f"{fields.path}.removed names {key!r}, which {fields.path}.set assigns"
            for key in sorted(removed & assigned.keys())
        ]
        return cls(
            assigned={key: encode(value) for key, value in assigned.items()}, removed=removed
        )
