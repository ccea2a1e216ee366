"""Settings that there are not, or that cannot be used."""

from pathlib import Path

from cloacina.errors.root import EngineError


class InvalidConfigError(EngineError, ValueError):
    """A setting outside its range."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"Invalid configuration: {field} is {value!r}; allowed is {allowed}")


class ConfigFileError(EngineError, ValueError):
    """A file of settings that cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"Invalid configuration: the file {path} {problem}")


class UnknownSettingError(EngineError, AttributeError, TypeError, ValueError):
    """A setting that there is not."""

    def __init__(self, setting: str, near: list[str]) -> None:
        self.setting = setting
        self.near = near
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "'cloacina-ctl config show' has all"
        )
        super().__init__(f"Invalid configuration: there is no setting {setting!r}; {hint}")
