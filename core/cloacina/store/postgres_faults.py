"""Tell errors of PostgreSQL that pass from those that a statement brings on itself."""

from typing import Final

import psycopg

_PASSING: Final = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""SQLSTATE classes: connection, transaction state (read-only after a failover, idle for too long),
serialization and deadlock, resources, locks, operator intervention, the system's I/O."""


def is_passing(error: BaseException | None) -> bool:
    """Whether the same may succeed later, on this connection or on the next."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:  # libpq's own: the connection was refused, or broke
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate[:2] in _PASSING
