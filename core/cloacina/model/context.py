"""How contexts flow through a graph: a task's view is the merge of what its dependencies pass on.

Values stay encoded as JSON text; each carries the number of the task that wrote it, so that a
merge can tell a changed value from one that was merely passed along:

* a value that a branch passed along untouched gives way to any branch that changed or removed it;
* where several branches changed a key, objects merge recursively, arrays concatenate without
  repeating an element, and otherwise the later dependency in declared order wins;
* a removal holds unless another branch wrote the key after the same ancestor.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cloacina.model.topology import Topology
from cloacina_sdk.changes import Changes
from cloacina_sdk.json_text import JsonValue, decode, encode

INPUT: Final = -1
"""The writer of the values that an execution was submitted with."""


class Entry(NamedTuple):
    """One key's value: its JSON text, or ``None`` once removed, and the task that wrote it."""

    text: str | None
    writer: int


View = Mapping[str, Entry]


def input_view(texts: Mapping[str, str]) -> View:
    """Return the view of a task that depends on nothing."""
    return {key: Entry(text, INPUT) for key, text in texts.items()}


def apply(changes: Changes, view: View, writer: int) -> View:
    """Return what a task passes on: ``view`` with its ``changes``; the same object if there are none."""
    if changes.is_empty:
        return view
    passed_on = dict(view)
    for key, text in changes.assigned.items():
        passed_on[key] = Entry(text, writer)
    for key in changes.removed:
        passed_on[key] = Entry(None, writer)
    return passed_on


def texts_of(view: View) -> dict[str, str]:
    """Return key -> JSON text of what is there, without what was removed."""
    return {key: entry.text for key, entry in view.items() if entry.text is not None}


def merge(views: Sequence[View], topology: Topology, writer: int) -> View:
    """Merge what several dependencies pass on, in declared order.

    ``writer`` is the number under which values that had to be combined are recorded.
    """
    first = views[0]
    if all(view is first for view in views):
        return first
    candidates: dict[str, list[Entry]] = {}
    for view in views:
        for key, entry in view.items():
            known = candidates.setdefault(key, [])
            if entry not in known:
                known.append(entry)
    return {
        key: entries[0] if len(entries) == 1 else _settle(entries, topology.ancestors, writer)
        for key, entries in candidates.items()
    }


def _settle(entries: Sequence[Entry], ancestors: Sequence[int], writer: int) -> Entry:
    overwritten = 0  # bit n + 1 stands for writer n, so that the input has a bit too
    for entry in entries:
        if entry.writer != INPUT:
            overwritten |= (ancestors[entry.writer] << 1) | 1
    latest = [entry for entry in entries if not overwritten >> (entry.writer + 1) & 1]
    if len(latest) == 1:
        return latest[0]
    texts = [entry.text for entry in latest if entry.text is not None]
    if not texts:
        return Entry(None, writer)
    return Entry(_combine_texts(texts), writer)


def _combine_texts(texts: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(reversed(texts)))  # the last of equal texts keeps its place
    if len(distinct) == 1:
        return distinct[0]
    return encode(_combine([decode(text) for text in reversed(distinct)]))


def _combine(values: Sequence[JsonValue]) -> JsonValue:
    """Combine values of one place, earliest first, all at once: the cost is that of reading them."""
    last = values[-1]
    if not isinstance(last, dict | list):
        return last
    kind = dict if isinstance(last, dict) else list
    first = next((n for n in range(len(values), 0, -1) if not isinstance(values[n - 1], kind)), 0)
    alike = values[first:]  # what came before something of another kind lost against it
    if len(alike) == 1:
        return last
    return _combine_objects(alike) if kind is dict else _without_repeats(alike)


def _combine_objects(objects: Sequence[JsonValue]) -> JsonValue:
    places: dict[str, list[JsonValue]] = {}
    for members in objects:
        assert isinstance(members, dict)  # noqa: S101 - chosen by its kind
        for key, value in members.items():
            places.setdefault(key, []).append(value)
    return {key: _combine(values) for key, values in places.items()}


def _without_repeats(arrays: Sequence[JsonValue]) -> list[JsonValue]:
    kept: dict[str, JsonValue] = {}
    for array in arrays:
        assert isinstance(array, list)  # noqa: S101 - chosen by its kind
        for value in array:
            kept.setdefault(encode(value), value)  # 1, 1.0 and true are equal in Python only
    return list(kept.values())
