"""Why a package is refused: every reason, each with a code that scripts can rely on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cloacina.errors import EngineError


class Refusal(StrEnum):
    """The kind of a reason; each kind has an exit code of the command line."""

    FORMAT = "format"
    UNSIGNED = "unsigned"
    SIGNATURE = "signature"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    INCOMPATIBLE = "incompatible"

    @property
    def exit_code(self) -> int:
        """The exit code of the command line for a package that is refused first for this."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Refusal.FORMAT: 3,
    Refusal.UNSIGNED: 4,
    Refusal.SIGNATURE: 4,
    Refusal.UNTRUSTED: 5,
    Refusal.EXPIRED: 8,
    Refusal.INCOMPATIBLE: 9,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason against a package."""

    code: Refusal
    message: str


class PackageRefusedError(EngineError, PermissionError):
    """A package did not pass verification; ``reasons`` holds everything that was found."""

    def __init__(self, reasons: Iterable[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(
            "the package is refused: " + "; ".join(reason.message for reason in self.reasons)
        )

    @property
    def exit_code(self) -> int:
        """The exit code for the first reason, in the order of verification."""
        return self.reasons[0].code.exit_code


class PackageChangedError(EngineError, PermissionError):
    """A file of the content store is not what was verified."""

    def __init__(self, digest: str, directory: Path, path: str) -> None:
        self.digest = digest
        self.path = path
        super().__init__(
            f"the unpacked package {digest} was changed on disk at {path!r}; "
            f"remove {directory} and load the package again"
        )


class PackageMismatchError(EngineError, ValueError):
    """The code of a package does not offer what its signed manifest says."""

    def __init__(self, package: str, differences: Iterable[str]) -> None:
        self.package = package
        self.differences = tuple(differences)
        super().__init__(
            f"the code of package {package!r} disagrees with its signed manifest: "
            f"{'; '.join(self.differences)}; build the package again"
        )
