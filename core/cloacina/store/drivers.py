"""Drivers that are installed only where they are wanted."""

from importlib import import_module

from cloacina.errors import MissingDriverError


def require_psycopg() -> None:
    """Import the driver of PostgreSQL, which is slow; what needs it is imported afterwards.

    Raises:
        MissingDriverError: if it is not installed.
    """
    try:
        import_module("psycopg")
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingDriverError("PostgreSQL", "psycopg", "postgres") from error
