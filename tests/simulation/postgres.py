"""The real PostgreSQL store and the real ``LeaseNeighbours``; the world says when a lease is over."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from cloacina.ownership.lease_neighbours import LeaseNeighbours
from cloacina.ownership.neighbours import Neighbours
from cloacina.ownership.pulse import LeaseTimes, Pulse
from cloacina.store.batch import Batch
from cloacina.store.postgres import PostgresDatabase
from cloacina.store.postgres_link import PostgresLink
from cloacina.store.tables import METADATA
from cloacina.store.url import PostgresLocation
from cloacina.store.writer import GroupWriter
from simulation.real import GatedDatabase, RealDatabase, in_earnest
from simulation.scenario import Liveness
from simulation.shared import LosingLink, OpenDatabase

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner

_DAY_S = 86_400.0
_SILENCE = "UPDATE runners SET lease_until = '-infinity' WHERE id = :id"
_RENEW = "UPDATE runners SET lease_until = 'infinity' WHERE id = :id"


@contextmanager
def postgres_databases(url: str) -> Iterator[OpenDatabase]:
    """Use one database for simulation after simulation: it is emptied before each."""
    database = PostgresDatabase(PostgresLocation(url=url), lease_s=_DAY_S)
    try:
        yield partial(PostgresSchema, database)
    finally:
        database.close()


class PostgresSchema(RealDatabase):
    """A schema that nobody else uses."""

    def __init__(self, database: PostgresDatabase, liveness: Liveness) -> None:
        assert liveness is Liveness.LEASES
        self._schema = database
        self._links: list[PostgresLink] = []
        super().__init__(database)
        with database.write() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(sa.delete(table))

    def link(self, runner_id: str) -> LosingLink:
        writer = self._schema.open_writer(runner_id)
        assert isinstance(writer, GroupWriter)
        link = writer._link
        assert isinstance(link, PostgresLink)
        self._links.append(link)
        return _BreakingLink(link)

    def neighbours(self, runner: "SimulatedRunner") -> Neighbours:
        found = _SimulatedLeaseNeighbours(GatedDatabase(self._schema, runner.gate), runner)
        found.join_again()
        return found

    def silence(self, runner_id: str, *, is_dead: bool) -> None:
        self._change_lease(_SILENCE, runner_id)

    def renew(self, runner_id: str) -> bool:
        return self._change_lease(_RENEW, runner_id)

    def close(self) -> None:
        self._reading.close()
        for link in self._links:
            link.close()

    def _change_lease(self, statement: str, runner_id: str) -> bool:
        with self._schema.write() as connection:
            return connection.execute(sa.text(statement), {"id": runner_id}).rowcount == 1


class _SimulatedLeaseNeighbours(LeaseNeighbours):
    """The real thing without the thread that renews and listens: the world does both."""

    def __init__(self, database: GatedDatabase, runner: "SimulatedRunner") -> None:
        super().__init__(
            cast("PostgresDatabase", database),
            runner.id,
            runner.accepts,
            lambda: runner.now().utc_us,
            LeaseTimes(lease_s=_DAY_S),
        )
        self._slots = runner.slots
        self._pulse = cast("Pulse", runner.bell)


class _BreakingLink:
    """A link whose connection can break at the worst moment."""

    def __init__(self, inner: PostgresLink) -> None:
        self._inner = inner

    def write(self, batch: Batch) -> None:
        with in_earnest():
            self._inner.write(batch)

    def close(self) -> None:
        self._inner.close()

    def lose_answer(self) -> None:
        self._inner.close()
        self._inner._is_in_doubt = True
