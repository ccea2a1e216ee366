"""Packages that are not loaded, or cannot be unloaded."""

from cloacina.errors.root import EngineError


class PackageNotLoadedError(EngineError, LookupError):
    """A package digest that this runner has not loaded."""

    def __init__(self, digest: str | None) -> None:
        self.digest = digest
        super().__init__(f"package {digest} is not loaded in this runner; load it first")


class PackageInUseError(EngineError, RuntimeError):
    """A package cannot be unloaded while executions are pinned to it."""

    def __init__(self, digest: str, unfinished: int) -> None:
        self.digest = digest
        self.unfinished = unfinished
        super().__init__(
            f"package {digest} cannot be unloaded: {unfinished} executions of it are not "
            "finished; wait for them"
        )
