"""The root of the engine's errors."""

from cloacina_sdk.errors import CloacinaError


class EngineError(CloacinaError):
    """Something that the engine was asked for could not be done."""
