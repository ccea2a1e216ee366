"""Open the database that a URL means, and the door to the other runners on it."""

from collections.abc import Callable
from typing import NamedTuple, assert_never

from cloacina.ownership.file_neighbours import FileNeighbours
from cloacina.ownership.neighbours import Accepts, Neighbours
from cloacina.ownership.pulse import LeaseTimes
from cloacina.store.contract import Database
from cloacina.store.drivers import require_psycopg
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import Location, PostgresLocation, SqliteLocation


class Opened(NamedTuple):
    """An open database and those who share it."""

    database: Database
    neighbours: Neighbours


def open_database(
    location: Location,
    runner_id: str,
    accepts: Accepts,
    clock_us: Callable[[], int],
    times: LeaseTimes,
    *,
    pool_size: int,
) -> Opened:
    """Open the database at ``location`` for a runner that claims what ``accepts`` says yes to.

    Args:
        location: where it is.
        runner_id: under which name the others know this runner.
        accepts: says of an unowned execution whether it can run here.
        clock_us: reads the wall clock.
        times: of the lease; without effect on SQLite, where a lock says who lives.
        pool_size: how many connections for reading are kept open.

    Raises:
        MissingDriverError: if the driver for the database is not installed.
        EngineError: if it cannot be opened.
    """
    match location:
        case SqliteLocation():
            file = SqliteDatabase(location, pool_size=pool_size)
            try:
                return Opened(file, FileNeighbours(file, runner_id, accepts, clock_us))
            except BaseException:
                file.close()
                raise
        case PostgresLocation():
            require_psycopg()
            from cloacina.ownership.lease_neighbours import LeaseNeighbours  # noqa: PLC0415 - its driver
            from cloacina.store.postgres import PostgresDatabase  # noqa: PLC0415 - is an extra

            server = PostgresDatabase(location, lease_s=times.lease_s, pool_size=pool_size)
            return Opened(server, LeaseNeighbours(server, runner_id, accepts, clock_us, times))
        case _:
            assert_never(location)
