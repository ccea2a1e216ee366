"""The databases that a simulation can run on."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from engine.databases import a_database
from simulation.memory import SimulatedDatabase
from simulation.postgres import postgres_databases
from simulation.scenario import Liveness
from simulation.shared import OpenDatabase
from simulation.sqlite import SqliteFile


class Kind(StrEnum):
    """Which database."""

    MEMORY = "memory"
    SQLITE = "sqlite"
    POSTGRES = "postgres"

    @property
    def liveness(self) -> Liveness | None:
        """How runners show that they live there; ``None`` where each seed says so itself."""
        match self:
            case Kind.MEMORY:
                return None
            case Kind.SQLITE:
                return Liveness.LOCKS
            case Kind.POSTGRES:
                return Liveness.LEASES


@contextmanager
def opened(kind: Kind, server: str | None) -> Iterator[OpenDatabase]:
    """Open databases of a kind, one simulation at a time; ``server`` is PostgreSQL's URL."""
    match kind:
        case Kind.MEMORY:
            yield SimulatedDatabase
        case Kind.SQLITE:
            yield SqliteFile
        case Kind.POSTGRES:
            assert server is not None
            with a_database(server) as url, postgres_databases(url) as open_database:
                yield open_database
