"""Open the database that a URL means, and the door to the other runners on it."""

from typing import NamedTuple

from cloacina.ownership.file_neighbours import FileNeighbours
from cloacina.ownership.neighbours import Accepts, Neighbours
from cloacina.store.contract import Database
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation


class Opened(NamedTuple):
    """An open database and those who share it."""

    database: Database
    neighbours: Neighbours


def open_database(location: SqliteLocation, runner_id: str, accepts: Accepts) -> Opened:
    """Open the database at ``location`` for a runner that claims what ``accepts`` says yes to.

    Raises:
        EngineError: if it cannot be opened.
    """
    database = SqliteDatabase(location)
    return Opened(database, FileNeighbours(database, runner_id, accepts))
