"""The kinds of rounds: which database, how many processes, and what goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from uuid import uuid4

from engine.databases import Server, Where, a_database, a_server, the_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of round."""

    is_postgres: bool
    processes: int
    is_server_restarted: bool = False

    def __str__(self) -> str:
        database = "postgres" if self.is_postgres else "sqlite"
        return f"{database}-{'restart' if self.is_server_restarted else self.processes}"


KINDS: Final = (
    Kind(is_postgres=False, processes=1),
    Kind(is_postgres=False, processes=3),
    Kind(is_postgres=True, processes=1),
    Kind(is_postgres=True, processes=3),
    Kind(is_postgres=True, processes=2, is_server_restarted=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A new database, and how to restart its server if that is what goes wrong."""

    where: Where
    restart: Callable[[], None] | None = None


class Servers:
    """PostgreSQL servers, started when a round first needs them, and stopped with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    @cached_property
    def url(self) -> str:
        """Of the one that nobody restarts."""
        return self._stack.enter_context(the_server())

    @cached_property
    def restarted(self) -> Server:
        """One that only these rounds use."""
        return self._stack.enter_context(a_server(f"crash-{uuid4().hex[:12]}"))


@contextmanager
def opened(kind: Kind, directory: Path, servers: Servers) -> Iterator[Place]:
    """Make a new database, in ``directory`` if it is a file."""
    if not kind.is_postgres:
        yield Place(where=Where(url=str(directory / "c.db"), is_postgres=False))
        return
    restart = servers.restarted.restart if kind.is_server_restarted else None
    with a_database(servers.restarted.url if restart else servers.url) as url:
        yield Place(where=Where(url=url, is_postgres=True), restart=restart)
