"""Runners that cannot be used, or not there, or not any more."""

from cloacina.errors.root import EngineError


class RunnerClosedError(EngineError, ValueError):
    """The runner was shut down."""

    def __init__(self) -> None:
        super().__init__("the runner is shut down; make a new DefaultRunner to run workflows")


class ForkedRunnerError(EngineError, RuntimeError):
    """A runner was used in a child process made by ``fork``."""

    def __init__(self, parent_pid: int) -> None:
        self.parent_pid = parent_pid
        super().__init__(
            f"this runner belongs to process {parent_pid} and cannot be used after a fork; "
            "make a DefaultRunner in the child, or start the child with 'spawn'"
        )


class RunningLoopError(EngineError, RuntimeError):
    """A blocking call was made where it would stop an event loop."""

    def __init__(self, call: str, instead: str) -> None:
        super().__init__(
            f"{call} would block the event loop that is running in this thread; "
            f"use {instead!r} here"
        )


class EngineThreadError(EngineError, RuntimeError):
    """A hook asked the engine for something that the engine's thread would have to wait for."""

    def __init__(self) -> None:
        super().__init__(
            "this was called by a hook, on the engine's own thread, which would wait for itself; "
            "hand it to a thread of yours"
        )


class EvictedError(EngineError, RuntimeError):
    """The other runners hold this one for dead: its lease or lock is gone, and what it had too."""

    def __init__(self, runner_id: str) -> None:
        self.runner_id = runner_id
        super().__init__(
            f"runner {runner_id} did not show in time that it lives (its lease ran out, or its lock "
            "was removed); other runners may go on with what it had"
        )


class EngineBusyError(EngineError, TimeoutError):
    """The engine's own thread did not come to a question in time."""

    def __init__(self, asked: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(
            f"the engine did not come to {asked} within {timeout_s:g} s: it is busy, or somebody "
            "else holds the database (the log says so); it goes on when it can"
        )


class KernelFailedError(EngineError, RuntimeError):
    """The engine's own thread stopped on an unexpected error."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"the engine stopped on an unexpected {type(cause).__name__}: {cause}; what was "
            "committed is safe and continues when a new runner opens the database"
        )
