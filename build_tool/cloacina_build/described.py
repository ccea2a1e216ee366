"""What the code of a package offers, told by a worker that imports it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from cloacina_build.errors import InvalidProjectError, PackageImportError, WorkerError
from cloacina_build.payload import Payload, unpack
from cloacina_build.settings import Settings
from cloacina_native.errors import NativeError, PackageLoadError
from cloacina_native.worker_process import describe_package
from cloacina_sdk.spec import WorkflowSpec

_FRAME = '  File "'
_SDK_ERRORS = "cloacina_sdk.errors."


def workflows_in(payload: Payload, settings: Settings, directory: Path) -> tuple[WorkflowSpec, ...]:
    """Import the modules in a clean process and return the workflows that they define.

    Args:
        payload: what to import from.
        settings: the package's name and its modules.
        directory: the project, for messages.

    Raises:
        PackageImportError: if a module raises, or a workflow is not valid.
        InvalidProjectError: if there is no workflow.
        WorkerError: if the process cannot be started.
    """
    with TemporaryDirectory(prefix="cloacina-build-") as scratch:
        unpacked = Path(scratch).resolve()
        unpack(payload.files, unpacked)
        try:
            found = describe_package(unpacked, settings.package, settings.modules)
        except PackageLoadError as error:
            where = _frames_within(error.traceback, unpacked)
            raise PackageImportError(settings.package, _reason(error), where) from error
        except NativeError as error:
            raise WorkerError(str(error)) from error
    if not found:
        named = ", ".join(settings.modules)
        raise InvalidProjectError(
            directory,
            [f"{named} define no workflow: mark a class with @workflow, or functions with @task"],
        )
    return tuple(found)


def _reason(error: PackageLoadError) -> str:
    if error.error_type.startswith(_SDK_ERRORS):
        return error.reason  # sentences for authors, which need no class name
    return f"{error.error_type}: {error.reason}" if error.reason else error.error_type


def _frames_within(traceback: str, directory: Path) -> str:
    """Return the lines of a traceback that tell of the package's own files."""
    inside = f"{_FRAME}{directory}/"
    kept: list[str] = []
    is_kept = False
    for line in traceback.splitlines():
        if line.startswith(_FRAME) or not line.startswith("   "):
            is_kept = line.startswith(inside)
        if is_kept:
            kept.append(line.replace(f"{directory}/", ""))
    return "\n".join(kept)
