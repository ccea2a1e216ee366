"""The engine's errors. The root of all of them is ``cloacina_sdk.errors.CloacinaError``."""

from cloacina.errors.database import (
    DatabaseMissingError,
    DuplicateExecutionError,
    InvalidSchemaError,
    InvalidUrlError,
    MissingDriverError,
    RejectedWriteError,
    SchemaSetupError,
    SchemaVersionError,
    StoreUnavailableError,
    without_password,
)
from cloacina.errors.execution import (
    AmbiguousExecutionIdError,
    ExecutionNotFoundError,
    ExecutionNotRetryableError,
    InvalidConditionError,
    InvalidEventError,
    OwnershipLostError,
    TaskFailedError,
    TaskNotFoundError,
    UnreadableExecutionError,
    WaitTimeoutError,
    WishRefusedError,
)
from cloacina.errors.executor import InvalidRoutingError, UnknownExecutorError, WrongExecutorError
from cloacina.errors.package import PackageInUseError, PackageNotLoadedError
from cloacina.errors.root import EngineError
from cloacina.errors.runner import (
    EngineThreadError,
    EvictedError,
    ForkedRunnerError,
    KernelFailedError,
    RunnerClosedError,
    RunningLoopError,
)
from cloacina.errors.setting import ConfigFileError, InvalidConfigError, UnknownSettingError
from cloacina.errors.submission import (
    AmbiguousWorkflowError,
    ContextTooLargeError,
    IdempotencyConflictError,
    InvalidIdempotencyKeyError,
    InvalidInputError,
    InvalidWorkflowError,
    SubmissionRolledBackError,
    UnknownWorkflowError,
    WrongConnectionError,
)
from cloacina.errors.tenant import (
    AdminUrlError,
    InvalidTenantError,
    TenantError,
    TenantExistsError,
    TenantNotFoundError,
)

__all__ = [
    "AdminUrlError",
    "AmbiguousExecutionIdError",
    "AmbiguousWorkflowError",
    "ConfigFileError",
    "ContextTooLargeError",
    "DatabaseMissingError",
    "DuplicateExecutionError",
    "EngineError",
    "EngineThreadError",
    "EvictedError",
    "ExecutionNotFoundError",
    "ExecutionNotRetryableError",
    "ForkedRunnerError",
    "IdempotencyConflictError",
    "InvalidConditionError",
    "InvalidConfigError",
    "InvalidEventError",
    "InvalidIdempotencyKeyError",
    "InvalidInputError",
    "InvalidRoutingError",
    "InvalidSchemaError",
    "InvalidTenantError",
    "InvalidUrlError",
    "InvalidWorkflowError",
    "KernelFailedError",
    "MissingDriverError",
    "OwnershipLostError",
    "PackageInUseError",
    "PackageNotLoadedError",
    "RejectedWriteError",
    "RunnerClosedError",
    "RunningLoopError",
    "SchemaSetupError",
    "SchemaVersionError",
    "StoreUnavailableError",
    "SubmissionRolledBackError",
    "TaskFailedError",
    "TaskNotFoundError",
    "TenantError",
    "TenantExistsError",
    "TenantNotFoundError",
    "UnknownExecutorError",
    "UnknownSettingError",
    "UnknownWorkflowError",
    "UnreadableExecutionError",
    "WaitTimeoutError",
    "WishRefusedError",
    "WrongConnectionError",
    "WrongExecutorError",
    "without_password",
]

for _name in __all__:  # a failed attempt is recorded, and found by retry conditions, by this path
    globals()[_name].__module__ = __name__
