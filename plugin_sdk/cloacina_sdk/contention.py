"""Whether an error says that a database was held by others for a moment, whatever its driver.

Drivers are told by the names of their classes, so that none has to be there.
"""

from __future__ import annotations

from typing import Final

_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_SQLSTATES: Final = frozenset({"40001", "40P01", "55P03"})
"""A failed serialization, a deadlock, and a lock that was not to be had."""
_POSTGRES_DRIVERS: Final = frozenset({"psycopg", "psycopg2", "asyncpg"})
_POSTGRES_CLASSES: Final = frozenset(
    {
        "SerializationFailure", "DeadlockDetected", "LockNotAvailable",
        "SerializationError", "DeadlockDetectedError", "LockNotAvailableError",
    }
)  # fmt: skip


def is_contention(error: BaseException) -> bool:
    """Tell whether an error of a database driver, or of the engine's store, may pass."""
    names = _names(error)
    if any(root == "sqlalchemy" and name == "DBAPIError" for root, name in names):
        wrapped = getattr(error, "orig", None)
        return isinstance(wrapped, BaseException) and _is_held(wrapped, is_adapted=True)
    return ("cloacina", "StoreUnavailableError") in names or _is_held(error, is_adapted=False)


def _is_held(error: BaseException, *, is_adapted: bool) -> bool:
    names = _names(error)
    if any("sqlite" in root and name == "OperationalError" for root, name in names):
        return _is_sqlite_held(error)
    of_postgres = {name for root, name in names if root in _POSTGRES_DRIVERS}
    if of_postgres & _POSTGRES_CLASSES:
        return True
    if not of_postgres and not is_adapted:
        return False
    return any(getattr(error, code, None) in _SQLSTATES for code in ("sqlstate", "pgcode"))


def _is_sqlite_held(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    said = str(error).lower()
    return "locked" in said or "busy" in said


def _names(error: BaseException) -> set[tuple[str, str]]:
    """Return root package and name of an error's class and of its bases."""
    return {(str(kind.__module__).partition(".")[0], kind.__name__) for kind in type(error).__mro__}
