"""Who takes part: the engines, what each has to be installed with, and what it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What an engine is in the comparison."""

    OURS = "Cloacina"
    ENGINE = "workflow engine"
    """It keeps the state of workflows, as we do."""
    QUEUE = "job queue"
    """It promises less: no workflows, or joins in memory, or jobs that a crash loses."""
    BARE = "no engine"
    """The rows alone, as fast as they can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One line of the tables.

    Attributes:
        engine: a module of ``engines`` and, after a colon, a variant.
        requires: what pip would install; nothing for what this checkout has.
        is_postgres: whether it gets a PostgreSQL database.
        only: the workloads that it runs, if not all.
    """

    title: str
    engine: str
    role: Role
    requires: tuple[str, ...] = ()
    is_postgres: bool = False
    only: frozenset[str] | None = None


_ALONE: Final = frozenset({"chain-alone", "fan-alone"})
_DBOS: Final = ("dbos>=3.4,<4",)
_EDDA: Final = ("edda-framework[postgresql,postgres-notify]", "asyncpg", "uvloop")

CONTESTANTS: Final = (
    Contestant(title="Cloacina", engine="cloacina_engine", role=Role.OURS),
    Contestant(title="bare writes", engine="bare_engine", role=Role.BARE),
    Contestant(title="DBOS, WAL", engine="dbos_engine:wal", role=Role.ENGINE, requires=_DBOS),
    Contestant(title="DBOS, as it comes", engine="dbos_engine", role=Role.ENGINE, requires=_DBOS),
    Contestant(
        title="edda",
        engine="edda_engine",
        role=Role.ENGINE,
        requires=_EDDA,
        only=_ALONE,  # several at once end in "database is locked"
    ),
    Contestant(
        title="Prefect",
        engine="prefect_engine",
        role=Role.ENGINE,
        requires=("prefect>=3.6,<3.9", "pydantic<2.12", "fastapi<0.120"),
        only=_ALONE,
    ),
    Contestant(title="huey", engine="huey_engine", role=Role.QUEUE, requires=("huey>=2.5,<4",)),
    Contestant(title="Cloacina", engine="cloacina_engine", role=Role.OURS, is_postgres=True),
    Contestant(
        title="DBOS",
        engine="dbos_engine",
        role=Role.ENGINE,
        requires=(*_DBOS, "psycopg[binary]"),
        is_postgres=True,
    ),
    Contestant(
        title="edda", engine="edda_engine", role=Role.ENGINE, requires=_EDDA, is_postgres=True
    ),
    Contestant(
        title="pgqueuer",
        engine="pgqueuer_engine",
        role=Role.QUEUE,
        requires=("pgqueuer[asyncpg]",),
        is_postgres=True,
    ),
    Contestant(
        title="pgqueuer, by 100",
        engine="pgqueuer_engine:batch",
        role=Role.QUEUE,
        requires=("pgqueuer[asyncpg]",),
        is_postgres=True,
    ),
    Contestant(
        title="Procrastinate",
        engine="procrastinate_engine",
        role=Role.QUEUE,
        requires=("procrastinate>=3,<4", "psycopg[binary]"),
        is_postgres=True,
    ),
)
