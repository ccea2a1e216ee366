"""Every error that this distribution raises; `NativeError` is their root."""

from __future__ import annotations

from cloacina_sdk.errors import CloacinaError
from cloacina_sdk.outcome import TaskFailure


class NativeError(CloacinaError):
    """The root of the errors that have to do with workers."""


class ProtocolError(NativeError, ValueError):
    """The other end of a channel sent what it must not send."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The peer broke the protocol: {reason}")


class FrameTooLargeError(NativeError, ValueError):
    """A frame is larger than any frame may be."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            f"A frame of {size_bytes:,} bytes is over the limit of {limit_bytes:,} bytes; "
            "keep large data in files or a store and pass its name through the context"
        )


class DeadlineError(NativeError, TimeoutError):
    """Nothing more arrived from a worker before a deadline."""


class RuntimeMissingError(NativeError, LookupError):
    """Something that every worker needs cannot be found in this interpreter."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Workers need {name}, which this interpreter cannot find")


class WorkerStartError(NativeError, OSError):
    """A worker process could not be started."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"The worker of {name!r} cannot be started: {reason}")


class WorkerBusyError(NativeError, RuntimeError):
    """A worker was asked for a second thing while it does the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The worker of {name!r} is busy; it does one thing at a time")


class UnknownTaskError(NativeError, LookupError):
    """A worker has loaded no such task."""

    def __init__(self, workflow: str, task: str) -> None:
        self.workflow = workflow
        self.task = task
        super().__init__(f"The worker has loaded no task {task!r} of a workflow {workflow!r}")


class PackageLoadError(NativeError, ImportError):
    """The modules of a package could not be imported, or make no valid workflows.

    Attributes:
        error_type: the name of the package's own error.
        reason: its message.
        traceback: where it came from, as text; "" if there is none.
    """

    def __init__(self, package: str, failure: TaskFailure) -> None:
        self.package = package
        self.error_type = failure.error_type
        self.reason = failure.message
        self.traceback = failure.traceback
        super().__init__(f"Package {package!r} cannot be loaded: {self.error_type}: {self.reason}")
