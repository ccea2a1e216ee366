"""The engine's errors. The root of all of them is ``cloacina_sdk.errors.CloacinaError``."""

import re
from collections.abc import Sequence
from pathlib import Path

from cloacina_sdk.errors import CloacinaError


class EngineError(CloacinaError):
    """Something that the engine was asked for could not be done."""


class InvalidUrlError(EngineError, ValueError):
    """A database URL that cannot be used; a password in it is kept out of the message."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = without_password(url)
        self.problem = problem
        super().__init__(
            f"the database URL {self.url!r} {problem}; use a path, 'sqlite:///abs/path.db', "
            "'sqlite://./relative.db', ':memory:' or 'postgresql://user@host/database'"
        )


def without_password(url: str) -> str:
    """Return a URL with nothing but stars for its password, and without the query it may be in."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "sqlite":
        return url
    masked = re.sub(r"^([^@:]*):.*@", r"\1:***@", rest)  # before the query: "?" may be in it
    return f"{scheme}://{masked.partition('?')[0]}"


class InvalidSchemaError(EngineError, ValueError):
    """A name that no tenant's schema can have."""

    def __init__(self, schema: object, problem: str) -> None:
        self.schema = schema
        super().__init__(f"{problem} (given: {schema!r})")


class AdminUrlError(InvalidUrlError, RuntimeError):
    """A URL that tenants cannot be made by."""


class TenantError(EngineError, RuntimeError):
    """A tenant could not be made, listed or removed."""


class InvalidTenantError(TenantError, ValueError):
    """A name or a password that no tenant can have."""


class TenantExistsError(TenantError):
    """There is a schema or role of that name already."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"there is a {kind} {name!r} already, and it was not touched; choose another name, or "
            "remove that tenant first"
        )


class TenantNotFoundError(TenantError, LookupError):
    """There is no schema or role of that name."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"there is no {kind} {name!r}; 'cloacina-ctl tenant list' shows those there are"
        )


class MissingDriverError(EngineError, ImportError):
    """A database whose driver is not installed."""

    def __init__(self, database: str, driver: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{database} needs {driver}, which is not installed: pip install 'cloacina[{extra}]'"
        )


class SchemaSetupError(EngineError, RuntimeError):
    """A PostgreSQL database could not be opened, or its schema not be brought up to date."""

    def __init__(self, schema: str, url: str, cause: object) -> None:
        self.schema = schema
        self.url = url
        super().__init__(f"Failed to set up schema {schema!r} of {url}: {cause}")


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


class UnknownSettingError(EngineError, AttributeError, ValueError):
    """A setting that there is not."""

    def __init__(self, setting: str, near: list[str]) -> None:
        self.setting = setting
        self.near = near
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "'cloacina-ctl config show' has all"
        )
        super().__init__(f"Invalid configuration: there is no setting {setting!r}; {hint}")


class UnknownWorkflowError(EngineError, ValueError, LookupError):
    """No workflow of that name is registered."""

    def __init__(self, name: str, near: list[str], known: int) -> None:
        self.name = name
        self.near = near
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else _count(known)
        super().__init__(f"there is no workflow {name!r}; {hint}")


def _count(known: int) -> str:
    if known:
        return f"none of the {known} registered workflows has a name like it"
    return "no workflow is registered: define one or load a package first"


class AmbiguousWorkflowError(EngineError, ValueError, LookupError):
    """Several packages offer a workflow of that name."""

    def __init__(self, name: str, candidates: list[str]) -> None:
        self.name = name
        self.candidates = candidates
        super().__init__(
            f"the name {name!r} fits several workflows; say which: {', '.join(candidates)}"
        )


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


class EngineThreadError(EngineError, RuntimeError):
    """A hook asked the engine for something that the engine's thread would have to wait for."""

    def __init__(self) -> None:
        super().__init__(
            "this was called by a hook, on the engine's own thread, which would wait for itself; "
            "hand it to a thread of yours"
        )


class RunningLoopError(EngineError, RuntimeError):
    """A blocking call was made where it would stop an event loop."""

    def __init__(self, call: str, instead: str) -> None:
        super().__init__(
            f"{call} would block the event loop that is running in this thread; "
            f"use 'await {instead}' here"
        )


class ExecutionNotFoundError(EngineError, LookupError):
    """No execution has that id."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"there is no execution {execution_id!r} in this database; "
            "'cloacina-ctl execution list' shows those there are"
        )


class TaskNotFoundError(EngineError, LookupError):
    """An execution has no task of that id."""

    def __init__(self, execution_id: str, task: str, known: Sequence[str]) -> None:
        self.execution_id = execution_id
        self.task = task
        names = ", ".join(map(repr, known[:20])) + (" and more" if len(known) > 20 else "")
        super().__init__(f"execution {execution_id} has no task {task!r}; it has {names}")


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


class EvictedError(EngineError, RuntimeError):
    """The other runners hold this one for dead: its lease or lock is gone, and what it had too."""

    def __init__(self, runner_id: str) -> None:
        self.runner_id = runner_id
        super().__init__(
            f"runner {runner_id} did not show in time that it lives (its lease ran out, or its lock "
            "was removed); other runners may go on with what it had"
        )


class KernelFailedError(EngineError, RuntimeError):
    """The engine's own thread stopped on an unexpected error."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"the engine stopped on an unexpected {type(cause).__name__}: {cause}; what was "
            "committed is safe and continues when a new runner opens the database"
        )


class TaskFailedError(EngineError, RuntimeError):
    """A task of an execution failed; raised by ``raise_for_status``."""

    def __init__(self, execution_id: str, status: str, message: str) -> None:
        self.execution_id = execution_id
        self.status = status
        super().__init__(f"execution {execution_id} ended as {status}: {message}")


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


class InvalidRoutingError(EngineError, ValueError):
    """A routing rule or a name of an executor that cannot be used."""

    def __init__(self, value: object, problem: str) -> None:
        self.value = value
        super().__init__(f"{value!r} {problem}")


class UnknownExecutorError(EngineError, ValueError, LookupError):
    """A routing rule names an executor that the runner does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"there is no executor {name!r}; this runner has {', '.join(known)}: correct the "
            "routing, or bring the executor with DefaultRunner(..., executors={name: executor})"
        )


class WrongExecutorError(EngineError, ValueError):
    """A task was routed to a built-in executor that cannot run tasks of its kind."""

    def __init__(self, task: str, executor: str, fitting: str) -> None:
        self.executor = executor
        super().__init__(
            f"the routing sends {task} to {executor!r}, which cannot run it; send it to "
            f"{fitting!r}, or to an executor of your own"
        )


class StoreUnavailableError(EngineError, OSError):
    """The database could not be written for now (busy, disk full, I/O error)."""


class RejectedWriteError(EngineError, ValueError):
    """The database refused the rows of one execution."""

    def __init__(self, execution_id: str, cause: BaseException) -> None:
        self.execution_id = execution_id
        # a driver's further lines quote the row, and with it the values of contexts
        fact = str(cause).partition("\n")[0]
        super().__init__(f"the database refused execution {execution_id}: {fact}")


class DuplicateExecutionError(RejectedWriteError):
    """Another execution of the workflow has the idempotency key already."""


class InvalidIdempotencyKeyError(EngineError, ValueError):
    """An idempotency key that cannot be kept."""

    def __init__(self, key: object, problem: str) -> None:
        self.key = key
        super().__init__(f"the idempotency key {key!r:.60} {problem}")


class IdempotencyConflictError(EngineError, ValueError):
    """An idempotency key was used again, for another input."""

    def __init__(self, key: str, execution_id: str) -> None:
        self.key = key
        self.execution_id = execution_id
        super().__init__(
            f"the idempotency key {key!r} belongs to execution {execution_id}, which was submitted "
            "with another input; use a key of its own for this input"
        )


class WrongConnectionError(EngineError, ValueError):
    """A connection on which a submission cannot be written."""


class SubmissionRolledBackError(EngineError, LookupError):
    """The transaction that held a submission was rolled back."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"execution {execution_id} does not exist: the transaction that it was submitted in "
            "was not committed"
        )


class ContextTooLargeError(EngineError, ValueError):
    """An input that is larger than ``max_context_bytes`` allows."""

    def __init__(self, problem: str, key: str) -> None:
        self.key = key
        super().__init__(f"the input is refused: {problem}")


class SchemaVersionError(EngineError, RuntimeError):
    """A database written by a newer version of this library."""

    def __init__(self, found: str, known: str) -> None:
        self.found = found
        super().__init__(
            f"the database has schema revision {found!r}, which this version (at {known!r}) does "
            "not know; upgrade cloacina, or open another database"
        )


class DatabaseMissingError(EngineError, FileNotFoundError):
    """There is no database to look at."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        where = "in memory" if path is None else f"at {path}"
        super().__init__(f"there is no database {where} yet; run a workflow first, or name another")


class AmbiguousExecutionIdError(EngineError, LookupError):
    """Several executions have ids that begin with what was given."""

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        self.prefix = prefix
        self.candidates = tuple(candidates)
        super().__init__(
            f"several executions have ids that begin with {prefix!r}: "
            f"{', '.join(candidates)}; write more of the one you mean"
        )
