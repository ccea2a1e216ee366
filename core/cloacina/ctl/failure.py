"""Turn what went wrong into one sentence, a next step and an exit code; the only place that does.

0 success, 1 a failed run or an unexpected error, 2 usage (also: something named that is not there,
input that is not JSON, a wrong passphrase), 3 bad format, 4 bad or missing signature, 5 untrusted,
8 expired, 9 incompatible with this platform, 130 interrupted.
"""

from collections.abc import Iterable
from typing import IO, Any, Protocol, runtime_checkable

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.exit_codes import FORMAT, UNTRUSTED, USAGE
from cloacina.errors import (
    AmbiguousExecutionIdError,
    AmbiguousWorkflowError,
    ConfigFileError,
    DatabaseMissingError,
    ExecutionNotFoundError,
    InvalidConfigError,
    InvalidEventError,
    InvalidSchemaError,
    InvalidTenantError,
    InvalidUrlError,
    MissingDriverError,
    TaskNotFoundError,
    TenantExistsError,
    TenantNotFoundError,
    UnknownSettingError,
    UnknownWorkflowError,
)
from cloacina.packages.refusal import PackageMismatchError, PackageRefusedError, Refusal
from cloacina_sdk.errors import (
    CloacinaError,
    InvalidContextValueError,
    InvalidJsonError,
    InvalidManifestError,
)
from cloacina_signing.errors import (
    KeyFileError,
    NonCanonicalArchiveError,
    SignatureError,
    SigningError,
    TrustError,
    WheelError,
)

_EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (UnknownWorkflowError, USAGE),
    (AmbiguousWorkflowError, USAGE),
    (ExecutionNotFoundError, USAGE),
    (TaskNotFoundError, USAGE),
    (AmbiguousExecutionIdError, USAGE),
    (DatabaseMissingError, USAGE),
    (InvalidUrlError, USAGE),
    (InvalidSchemaError, USAGE),
    (InvalidConfigError, USAGE),
    (UnknownSettingError, USAGE),
    (ConfigFileError, USAGE),
    (InvalidEventError, USAGE),
    (MissingDriverError, USAGE),
    (InvalidTenantError, USAGE),
    (TenantExistsError, USAGE),
    (TenantNotFoundError, USAGE),
    (InvalidJsonError, USAGE),
    (InvalidContextValueError, USAGE),
    (KeyFileError, USAGE),
    (PackageMismatchError, FORMAT),
    (InvalidManifestError, FORMAT),
    (NonCanonicalArchiveError, FORMAT),
    (WheelError, FORMAT),
    (SignatureError, FORMAT),
    (TrustError, UNTRUSTED),
)


_GET_IT_AGAIN = "Get the file again from where it came, or build it again."


class Failure(click.ClickException):
    """The end of a command that could not do what it was asked for.

    Args:
        sentence: what is wrong; shown escaped.
        steps: lines shown below it as they are, such as commands to type.
        exit_code: of the process.
    """

    def __init__(self, sentence: str, *, steps: Iterable[str] = (), exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.steps = tuple(steps)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence and the steps to stderr."""
        click.echo(f"Error: {escaped(self.message)}", file=file, err=True)
        for step in self.steps:
            click.echo(f"  {step}", file=file, err=True)


@runtime_checkable
class Explained(Protocol):
    """An error that brings its exit code and next step along, as those of the build tool do."""

    exit_code: int
    next_step: str


def translated(error: Exception) -> Failure:
    """Return how any error ends the command line."""
    if isinstance(error, PackageRefusedError):
        is_malformed = error.reasons[0].code is Refusal.FORMAT
        steps = [_GET_IT_AGAIN] if is_malformed else []
        return Failure(str(error), steps=steps, exit_code=error.exit_code)
    if isinstance(error, Explained):
        sentence, *details = f"{error}\n{error.next_step}".rstrip().splitlines()
        return Failure(sentence, steps=map(escaped, details), exit_code=error.exit_code)
    for kind, exit_code in _EXIT_CODES:
        if isinstance(error, kind):
            return Failure(str(error), exit_code=exit_code)
    if isinstance(error, CloacinaError | SigningError):
        return Failure(str(error))
    if isinstance(error, OSError):
        return Failure(_system_sentence(error))
    return Failure(
        f"unexpected {type(error).__name__}: {error}",
        steps=["Run it again with --debug after cloacina-ctl, and report what it shows."],
    )


def _system_sentence(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{error.strerror}"
