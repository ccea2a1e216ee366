"""What cannot be done with executions, or known of them."""

from collections.abc import Sequence

from cloacina.errors.root import EngineError


class ExecutionNotFoundError(EngineError, LookupError):
    """No execution has that id."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"there is no execution {execution_id!r} in this database; "
            "'cloacina-ctl execution list' shows those there are"
        )


class UnreadableExecutionError(EngineError, ValueError):
    """What is stored of an execution makes no sense to this version."""

    def __init__(self, execution_id: str, problem: str) -> None:
        self.execution_id = execution_id
        self.problem = problem
        super().__init__(
            f"execution {execution_id} cannot be read: a newer version may have written it, or it "
            f"is damaged; open it with that version, or cancel it. What is wrong: {problem}"
        )


class AmbiguousExecutionIdError(EngineError, LookupError):
    """Several executions have ids that begin with what was given."""

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        self.prefix = prefix
        self.candidates = tuple(candidates)
        super().__init__(
            f"several executions have ids that begin with {prefix!r}: "
            f"{', '.join(candidates)}; write more of the one you mean"
        )


class TaskNotFoundError(EngineError, LookupError):
    """An execution has no task of that id."""

    def __init__(self, execution_id: str, task: str, known: Sequence[str]) -> None:
        self.execution_id = execution_id
        self.task = task
        names = ", ".join(map(repr, known[:20])) + (" and more" if len(known) > 20 else "")
        super().__init__(f"execution {execution_id} has no task {task!r}; it has {names}")


class TaskFailedError(EngineError, RuntimeError):
    """An execution did not complete, or not yet; raised by ``raise_for_status``."""

    def __init__(self, execution_id: str, status: str, message: str) -> None:
        self.execution_id = execution_id
        self.status = status
        super().__init__(f"execution {execution_id} {_fate(status, message)}")


def _fate(status: str, message: str) -> str:
    if status not in {"Pending", "Running", "Paused"}:
        return f"ended as {status}: {message}"
    return f"has not ended: it was {status} when this result was read; wait for its end first"


class WaitTimeoutError(EngineError, ValueError, TimeoutError):
    """An execution did not end within the time that the caller was willing to wait."""

    def __init__(self, execution_id: str, timeout_s: float) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"execution {execution_id} did not end within {timeout_s:g} s; it goes on, "
            "and wait() can be called again"
        )


class OwnershipLostError(EngineError, RuntimeError):
    """Another runner took an execution over while this one waited for it."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"another runner took over execution {execution_id}; it is not lost: "
            "read its state from the database"
        )


class WishRefusedError(EngineError, ValueError):
    """What was asked of an execution makes no sense for it."""

    def __init__(self, execution_id: str, wish: str, problem: str) -> None:
        self.execution_id = execution_id
        self.wish = wish
        self.problem = problem
        super().__init__(f"execution {execution_id}: {wish} was refused: {problem}")


class InvalidEventError(EngineError, ValueError):
    """No execution can be sent an event like that."""

    def __init__(self, name: object, problem: str) -> None:
        self.name = name
        super().__init__(f"the event {str(name)[:100]!r} cannot be sent: {problem}")


class InvalidConditionError(EngineError, ValueError):
    """No condition can be registered like that."""


class ExecutionNotRetryableError(EngineError, ValueError):
    """Only what failed or was cancelled can run again."""

    def __init__(self, execution_id: str, status: str, *, mapped: Sequence[str] = ()) -> None:
        self.execution_id = execution_id
        self.status = status
        self.mapped = tuple(mapped)
        if mapped:
            super().__init__(
                f"execution {execution_id} cannot be retried: mapped tasks that have begun "
                f"({', '.join(map(repr, mapped))}) cannot run again; submit the workflow again"
            )
            return
        hint = (
            "submit the workflow again"
            if status == "Completed"
            else "wait for its end or cancel it"
        )
        super().__init__(
            f"execution {execution_id} is {status}; only one that failed or was cancelled can be "
            f"retried: {hint}"
        )
