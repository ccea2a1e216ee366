"""Databases that cannot be named, opened, read or written."""

import re
from collections.abc import Sequence
from pathlib import Path

from cloacina.errors.root import EngineError


class InvalidUrlError(EngineError, ValueError):
    """A database URL that cannot be used; a password in it is kept out of the message."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = without_password(url)
        self.problem = problem
        super().__init__(
            f"the database URL {self.url!r} {problem}; use a path, 'sqlite:///abs/path.db', "
            "'sqlite://./relative.db', ':memory:' or 'postgresql://user@host/database'"
        )


def without_password(url: str) -> str:
    """Return a URL with nothing but stars for its password, and without the query it may be in."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "sqlite":
        return url
    masked = re.sub(r"^([^@:]*):.*@", r"\1:***@", rest)  # before the query: "?" may be in it
    return f"{scheme}://{masked.partition('?')[0]}"


class InvalidSchemaError(EngineError, ValueError):
    """A name that no tenant's schema can have."""

    def __init__(self, schema: object, problem: str) -> None:
        self.schema = schema
        super().__init__(f"{problem} (given: {schema!r})")


class MissingDriverError(EngineError, ImportError):
    """A database whose driver is not installed."""

    def __init__(self, database: str, driver: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{database} needs {driver}, which is not installed: pip install 'cloacina[{extra}]'"
        )


class SchemaSetupError(EngineError, RuntimeError):
    """A PostgreSQL database could not be opened, or its schema not be brought up to date."""

    def __init__(self, schema: str, url: str, cause: object) -> None:
        self.schema = schema
        self.url = url
        super().__init__(f"Failed to set up schema {schema!r} of {url}: {cause}")


class SchemaVersionError(EngineError, RuntimeError):
    """A database written by a newer version of this library."""

    def __init__(self, found: str, known: str) -> None:
        self.found = found
        super().__init__(
            f"the database has schema revision {found!r}, which this version (at {known!r}) does "
            "not know; upgrade cloacina, or open another database"
        )


class ForeignTablesError(EngineError, RuntimeError):
    """A database in which tables of somebody else have names of this library's."""

    def __init__(self, tables: Sequence[str]) -> None:
        self.tables = tuple(tables)
        super().__init__(
            f"the database has tables that are not Cloacina's under names that it needs "
            f"({', '.join(tables)}); open another file, or a schema of its own on PostgreSQL"
        )


class DatabaseMissingError(EngineError, FileNotFoundError):
    """There is no database to look at."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        where = "in memory" if path is None else f"at {path}"
        super().__init__(f"there is no database {where} yet; run a workflow first, or name another")


class StoreUnavailableError(EngineError, OSError):
    """The database could not be written for now (busy, disk full, I/O error)."""


class RejectedWriteError(EngineError, ValueError):
    """The database refused the rows of one execution."""

    def __init__(self, execution_id: str, cause: BaseException) -> None:
        self.execution_id = execution_id
        # a driver's further lines quote the row, and with it the values of contexts
        fact = str(cause).partition("\n")[0]
        super().__init__(f"the database refused execution {execution_id}: {fact}")


class DuplicateExecutionError(RejectedWriteError):
    """Another execution of the workflow has the idempotency key already."""
