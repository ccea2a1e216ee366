"""What a setting of a runner may be: its kind, its range, how it is read from text, what it does."""

from dataclasses import Field, dataclass, field
from typing import Any, Final, cast

from cloacina.errors import InvalidConfigError

SettingValue = bool | int | float | None
_KEY: Final = "setting"
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The rules of one setting.

    Attributes:
        kind: ``bool``, ``int``, or ``float`` (which takes whole numbers too).
        low: the least value of a number.
        high: the greatest value of a number.
        none: what ``None`` means; without a meaning it is refused.
        note: what to know about the effect, where it has not the same one everywhere.
    """

    kind: type
    low: float = 0
    high: float = 0
    none: str = ""
    note: str = ""

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words."""
        if self.kind is bool:
            words = "true or false"
        else:
            noun = "a whole number" if self.kind is int else "a number"
            words = f"{noun} from {self.low:,} to {self.high:,}"
        return f"{words}, or none ({self.none})" if self.none else words

    def check(self, name: str, value: object) -> None:
        """Do nothing if ``value`` is allowed.

        Raises:
            InvalidConfigError: naming the setting and what is allowed.
        """
        if not self._allows(value):
            raise InvalidConfigError(name, value, self.allowed)

    def read(self, name: str, text: str) -> SettingValue:
        """Return the value that ``text`` stands for, as an environment variable has it.

        Raises:
            InvalidConfigError: if it stands for none that is allowed.
        """
        value = self._said(text.strip())
        self.check(name, value)
        return cast(SettingValue, value)

    def _allows(self, value: object) -> bool:
        if value is None:
            return bool(self.none)
        if self.kind is bool:
            return isinstance(value, bool)
        kinds = (int,) if self.kind is int else (int, float)
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        return is_number and self.low <= cast(float, value) <= self.high

    def _said(self, text: str) -> object:
        """Return what a text says, or the text itself if it says nothing of this kind."""
        if self.none and text.lower() == "none":
            return None
        if self.kind is bool:
            return _WORDS.get(text.lower(), text)
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return text


def setting_of(declared: "Field[Any]") -> Setting:
    """Return the rules of a field that was declared by one of the functions below."""
    return cast(Setting, declared.metadata[_KEY])


def switch(*, default: bool, note: str = "") -> bool:
    """Declare a field that is true or false."""
    return field(default=default, metadata={_KEY: Setting(kind=bool, note=note)})


def whole(default: int, low: int, high: int, *, note: str = "") -> int:
    """Declare a field that is a whole number."""
    setting = Setting(kind=int, low=low, high=high, note=note)
    return field(default=default, metadata={_KEY: setting})


def number(default: float, low: float, high: float, *, note: str = "") -> float:
    """Declare a field that is a number, whole or not."""
    setting = Setting(kind=float, low=low, high=high, note=note)
    return field(default=default, metadata={_KEY: setting})


def number_or_none(
    default: float | None, low: float, high: float, *, none: str, note: str = ""
) -> float | None:
    """Declare a field that is a number, or ``None`` with the meaning that ``none`` says."""
    setting = Setting(kind=float, low=low, high=high, none=none, note=note)
    return field(default=default, metadata={_KEY: setting})
