"""Reading one JSON object that must have exactly the keys its reader knows.

Rules: no unknown key, no missing key, no value of another type (a bool is no integer); the first
thing that is wrong is named by its key path.
"""

from collections.abc import Collection, Mapping, Sequence

from cloacina_signing import strict_base64
from cloacina_signing.errors import StrictJsonError, shown
from cloacina_signing.strict_json import JsonValue, key_path

MAX_TEXT_CHARS = 200


class ClosedObject:
    """An object with exactly these keys.

    Raises:
        StrictJsonError: by the constructor and by every method, naming the key path.
    """

    __slots__ = ("_members", "_path")

    def __init__(self, value: JsonValue, path: str, keys: Collection[str]) -> None:
        if not isinstance(value, Mapping):
            raise StrictJsonError(path, "an object is expected here")
        missing = sorted(set(keys) - set(value))
        unknown = sorted(set(value) - set(keys))
        if missing:
            raise StrictJsonError(path, f"the key {shown(missing[0])} is missing")
        if unknown:
            raise StrictJsonError(path, f"the key {shown(unknown[0])} is not known")
        self._members = value
        self._path = path

    def path(self, key: str) -> str:
        """Return the key path of a member."""
        return key_path(self._path, key)

    def refusal(self, key: str, fact: str) -> StrictJsonError:
        """Return the error that says what is wrong with a member."""
        return StrictJsonError(self.path(key), fact)

    def value(self, key: str) -> JsonValue:
        """Return a member as it stands."""
        return self._members[key]

    def require(self, **constants: str | int) -> None:
        """Check that members have exactly these values, type included."""
        for key, expected in constants.items():
            value = self._members[key]
            if type(value) is not type(expected) or value != expected:
                raise self.refusal(key, f"only {expected!r} is known here")

    def text(self, key: str, *, max_chars: int = MAX_TEXT_CHARS) -> str:
        """Return a member that is printable text, not empty."""
        value = self._members[key]
        if not isinstance(value, str) or not value or len(value) > max_chars:
            raise self.refusal(key, f"a text of 1 to {max_chars} characters is expected here")
        if not value.isprintable():
            raise self.refusal(key, f"{shown(value)} holds characters that cannot be printed")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """Return a member that is an integer from `low` to `high`, both included."""
        value = self._members[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"an integer from {low} to {high} is expected here")
        return value

    def octets(self, key: str, *, low: int, high: int) -> bytes:
        """Return the bytes of a member in strict base64, `low` to `high` of them."""
        value = self._members[key]
        raw = strict_base64.decode(value) if isinstance(value, str) else None
        if raw is None or not low <= len(raw) <= high:
            span = f"{low}" if low == high else f"{low} to {high}"
            raise self.refusal(key, f"base64 of {span} bytes is expected here")
        return raw

    def texts(self, key: str, *, max_items: int) -> tuple[str, ...]:
        """Return a member that is an array of at most `max_items` texts."""
        array = self.array(key, max_items=max_items)
        texts = tuple(item for item in array if isinstance(item, str))
        if len(texts) != len(array):
            raise self.refusal(key, "an array of texts is expected here")
        return texts

    def objects(self, key: str, keys: Collection[str], *, max_items: int) -> "list[ClosedObject]":
        """Return a member that is an array of objects with exactly these keys."""
        array = self.array(key, max_items=max_items)
        return [ClosedObject(item, f"{self.path(key)}[{i}]", keys) for i, item in enumerate(array)]

    def array(self, key: str, *, max_items: int) -> Sequence[JsonValue]:
        """Return a member that is an array of at most `max_items`."""
        value = self._members[key]
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.refusal(key, "an array is expected here")
        if len(value) > max_items:
            raise self.refusal(key, f"{len(value)} items, at most {max_items} are read")
        return value
