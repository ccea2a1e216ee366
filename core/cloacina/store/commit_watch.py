"""Learn that transactions of others end, from SQLAlchemy's own events."""

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import event

Told = Callable[[], None]


class CommitWatch:
    """Listens on connections for as long as they live. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: WeakKeyDictionary[sa.Connection, list[tuple[Told, Told]]] = (
            WeakKeyDictionary()
        )

    def once(self, connection: sa.Connection, *, on_commit: Told, on_rollback: Told) -> None:
        """Call one of both at the next end of a transaction on ``connection``, just before it.

        It is called by the thread that ends it, and must be quick. A connection that is closed
        rolls back. What is rolled back to a savepoint is not told.
        """
        with self._lock:
            if connection not in self._waiting:  # listeners cannot be removed while they are called
                self._waiting[connection] = []
                for name in ("commit", "commit_twophase"):
                    event.listen(connection, name, self._on_commit)
                for name in ("rollback", "rollback_twophase"):
                    event.listen(connection, name, self._on_rollback)
            self._waiting[connection].append((on_commit, on_rollback))

    def _on_commit(self, connection: sa.Connection, *_: object) -> None:
        self._tell(connection, is_commit=True)

    def _on_rollback(self, connection: sa.Connection, *_: object) -> None:
        self._tell(connection, is_commit=False)

    def _tell(self, connection: sa.Connection, *, is_commit: bool) -> None:
        with self._lock:
            waiting = self._waiting.get(connection)
            told = waiting[:] if waiting else []
            if waiting:
                waiting.clear()
        for on_commit, on_rollback in told:
            (on_commit if is_commit else on_rollback)()
