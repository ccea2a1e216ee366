"""Databases of both kinds, for the tests that hold on either, and a runner on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloacina import DefaultRunner, Runtime
from cloacina_sdk.collect import collecting
from engine.databases import Where, a_database, the_server
from engine.gate import Gate


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real server, started when the first test asks for it."""
    with the_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[Where]:
    """A new PostgreSQL database."""
    with a_database(postgres_server) as url:
        yield Where(url=url, is_postgres=True)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A new database, once of each kind."""
    if request.param == "sqlite":
        return Where(url=str(tmp_path / "c.db"), is_postgres=False)
    found: Where = request.getfixturevalue("postgres")
    return found


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """An empty runtime, which has what the test defines."""
    own = Runtime()
    with collecting(own.collection):
        yield own


@pytest.fixture
def gate() -> Gate:
    """Where bodies wait until the test lets them go on."""
    return Gate()


@pytest.fixture
def runner(runtime: Runtime, where: Where, gate: Gate) -> Iterator[DefaultRunner]:
    """A runner of what the test defines, on a new database; at its end the gate is opened."""
    with DefaultRunner(where.url, runtime=runtime) as opened:
        yield opened
        gate.open()
