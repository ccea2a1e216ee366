"""A connection of its own on which a runner renews its lease, rings the others and is rung.

``NOTIFY`` is never part of a commit of executions: inside one it would make the whole cluster's
commits queue. What is rung means no more than "look": whoever misses it looks later.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256

import psycopg

from cloacina.errors import StoreUnavailableError
from cloacina.store.ownership import RENEW
from cloacina.store.postgres_link import DIALECT
from cloacina.store.statements import Compiled, Schemas


class Line:
    """One open connection. It is used by one thread, and dropped when anything goes wrong on it.

    Every call raises ``StoreUnavailableError`` when the connection fails.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        *,
        runner_id: str,
        schemas: Schemas,
        lease_s: float,
    ) -> None:
        """Connect and listen."""
        self._runner_id = runner_id
        self._lease = timedelta(seconds=lease_s)
        self._renew = Compiled.of(RENEW, DIALECT, ("lease", "id"), schemas).query
        # a channel belongs to the whole database, and its name is no longer than a schema's
        self._channel = f"cloacina_{sha256((schemas[None]).encode()).hexdigest()[:16]}"
        with _wrapped():
            self._connection = connect()
        try:
            with _wrapped():
                self._connection.autocommit = True
                self._connection.execute(f"LISTEN {self._channel}".encode())
        except StoreUnavailableError:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when somebody rings."""
        with _wrapped():
            return self._connection.fileno()

    def renew(self) -> bool:
        """Prolong the lease by the server's clock; ``False`` if the others took it away."""
        with _wrapped():
            renewed = self._connection.execute(self._renew, (self._lease, self._runner_id))
        return renewed.rowcount == 1

    def ring(self, why: str) -> None:
        """Have every other runner on this schema hear ``why``, one character."""
        with _wrapped():
            self._connection.execute(
                "SELECT pg_notify(%s, %s)", (self._channel, f"{why}{self._runner_id}")
            )

    def heard(self) -> set[str]:
        """Return what the others rang since the last call, without waiting."""
        with _wrapped():
            payloads = [note.payload for note in self._connection.notifies(timeout=0)]
        return {each[:1] for each in payloads if each[1:] != self._runner_id}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise StoreUnavailableError(f"the runner's lease could not be kept: {error}") from error
