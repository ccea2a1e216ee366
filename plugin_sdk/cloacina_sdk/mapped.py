"""Mapped tasks: a body that runs once for each element of a list in its context.

* The body is called with the context and the element; what it returns is the element's result.
* The context is shared by all elements, so a body cannot leave anything in it.
* Dependents find the results as a list, in the order of the elements.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

from cloacina_sdk.changes import Changes
from cloacina_sdk.context import Context
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDefinitionError, MappedContextChangedError
from cloacina_sdk.json_text import encode

MOST_PARALLEL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """That a task is mapped, and how.

    Attributes:
        over: the key of the list in the merged context.
        into: the key under which dependents find the list of results; None for the task's id.
        max_parallel: how many elements may run at once; None for as many as there are slots.
    """

    over: str
    into: str | None = None
    max_parallel: int | None = None

    def to_document(self) -> dict[str, str | int]:
        """Return the members that a mapped task has beside those of every task."""
        given = {
            "map_over": self.over,
            "map_into": self.into,
            "max_parallel": self.max_parallel,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element that a mapped task runs for.

    Attributes:
        index: its place in the list, from 0.
        text: its JSON text.
        result_key: what the result is called in the changes that the attempt reports.
    """

    index: int
    text: str
    result_key: str

    def to_json(self) -> str:
        """Return a JSON text that `read` reads."""
        key = encode(self.result_key)
        return f'{{"index":{self.index},"result_key":{key},"item":{self.text}}}'

    @classmethod
    def read(cls, fields: Fields) -> Element:
        """Read what `to_json` wrote; with a problem the result is a stand-in."""
        item = fields.value("item")
        element = cls(
            index=fields.integer("index", highest=2**53),
            text=encode(item) if fields.is_object and not fields.problems else "null",
            result_key=fields.text("result_key"),
        )
        fields.close()
        return element

    def is_result(self, changes: Changes) -> bool:
        """Whether that is what an attempt for an element may report."""
        return changes.assigned.keys() == {self.result_key} and not changes.removed


def checked(map_over: object, map_into: object, max_parallel: object) -> Mapped | None:
    """Check the options of `@task` that make it mapped; None where it is not.

    Raises:
        InvalidDefinitionError: if one has no such value, or needs another one.
    """
    if map_over is None:
        for name, value in (("map_into", map_into), ("max_parallel", max_parallel)):
            if value is not None:
                raise InvalidDefinitionError(f"{name}= says something of map_over=: give both")
        return None
    return Mapped(
        over=_key("map_over", map_over),
        into=None if map_into is None else _key("map_into", map_into),
        max_parallel=None if max_parallel is None else _count(max_parallel),
    )


def read_mapped(fields: Fields) -> Mapped | None:
    """Read the members that `Mapped.to_document` wrote among those of a task."""
    over = fields.optional_text("map_over")
    into = fields.optional_text("map_into")
    max_parallel = fields.optional_integer("max_parallel", lowest=1, highest=MOST_PARALLEL)
    if over is None:
        for name, value in (("map_into", into), ("max_parallel", max_parallel)):
            if value is not None:
                fields.problems.append(f"{fields.path_of(name)} needs map_over")
        return None
    if not over or into == "":
        fields.problems.append(f"{fields.path_of('map_over')} and map_into must not be empty")
    return Mapped(over=over, into=into, max_parallel=max_parallel)


def result_of(
    returned: object, context: Context, before: Mapping[str, str], element: Element
) -> Changes:
    """Return what an element adds: its result, under the key that the element names.

    Args:
        returned: what the body returned.
        context: the one that the body was given.
        before: the texts that the context was made of.
        element: what the body ran for.

    Raises:
        MappedContextChangedError: if the body changed the context.
        InvalidContextValueError: if JSON cannot hold what it returned.
    """
    if isinstance(returned, Coroutine):
        returned.close()  # nobody will await it, and the interpreter would warn about that
    changed = Changes.between(before, context.texts())
    if not changed.is_empty:
        raise MappedContextChangedError({*changed.assigned, *changed.removed})
    return Changes(assigned={element.result_key: encode(returned)}, removed=frozenset())


def _key(option: str, given: object) -> str:
    if not isinstance(given, str) or not given:
        raise InvalidDefinitionError(f"{option} is a key of the context, not {given!r}")
    encode(given, option)
    return given


def _count(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_PARALLEL:
        return given
    raise InvalidDefinitionError(
        f"max_parallel must be a whole number from 1 to {MOST_PARALLEL:,}, not {given!r}; "
        "leave it out for no limit"
    )
