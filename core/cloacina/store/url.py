"""Where a database is: the forms of URL that are accepted, and what each means.

``postgresql://`` and ``postgres://`` are read by libpq, which knows the query keys; everything
else is SQLite.

``sqlite:///abs/path.db`` is absolute and ``sqlite://./rel.db`` relative, because the scheme is
stripped literally; a bare path and ``pathlib.Path`` are paths; ``:memory:`` is private to one
runner. SQLite's only query key is ``mode`` (``rwc`` creates the file, ``rw`` and ``ro`` do not).
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl

from cloacina.errors import InvalidSchemaError, InvalidUrlError, without_password

Mode = Literal["rwc", "rw", "ro"]
_MODES: dict[str, Mode] = {"rwc": "rwc", "rw": "rw", "ro": "ro"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteLocation:
    """A SQLite database: a file, or a private one that ends with its runner (``path`` is None)."""

    path: Path | None
    mode: Mode = "rwc"

    @property
    def shown(self) -> str:
        """The path, for people."""
        return str(self.path or ":memory:")

    @classmethod
    def parse(cls, url: str | Path) -> "SqliteLocation":
        """Read a URL or path.

        Raises:
            InvalidUrlError: for another scheme, an unknown query key or mode, or an empty path.
        """
        if isinstance(url, Path):
            return cls(path=url)
        if not isinstance(url, str):
            raise InvalidUrlError(repr(url), f"is of type {type(url).__name__}")
        scheme, separator, rest = url.partition("://")
        if not separator:
            rest = url.removeprefix("sqlite:") if url.startswith("sqlite:") else url
        elif scheme != "sqlite":
            raise InvalidUrlError(url, f"has the scheme {scheme!r}, which is not supported")
        location, question, query = rest.partition("?")
        mode = _mode_of(url, query) if question else "rwc"
        if location == ":memory:":
            return cls(path=None, mode=mode)
        if not location:
            raise InvalidUrlError(url, "names no file")
        if "\0" in location:
            raise InvalidUrlError(url, "contains a NUL character")
        return cls(path=Path(location), mode=mode)


def _mode_of(url: str, query: str) -> Mode:
    mode: Mode = "rwc"
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key != "mode":
            raise InvalidUrlError(url, f"has the query key {key!r}; only 'mode' is known")
        if value not in _MODES:
            raise InvalidUrlError(url, f"has the mode {value!r}; known are {', '.join(_MODES)}")
        mode = _MODES[value]
    return mode


DEFAULT_SCHEMA: Final = "public"
_SCHEMES: Final = ("postgresql", "postgres")
_SCHEMA: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLocation:
    """One schema of a PostgreSQL database."""

    url: str = field(repr=False)
    """May hold a password: print ``shown`` instead."""
    schema: str = DEFAULT_SCHEMA

    @property
    def shown(self) -> str:
        """The URL without query and without password."""
        return without_password(self.url)


Location = SqliteLocation | PostgresLocation


def parse_location(url: str | Path | Location, schema: str | None = None) -> Location:
    """Read a URL or path, and the name of the schema that holds the tables.

    What was read before is taken as it is.

    Raises:
        InvalidUrlError: for a URL that cannot be used, or a schema where there are none.
        InvalidSchemaError: for a name that no schema can have.
    """
    if isinstance(url, PostgresLocation):
        return replace(url, schema=url.schema if schema is None else checked_schema(schema))
    if isinstance(url, str) and url.partition("://")[0] in _SCHEMES:
        named = DEFAULT_SCHEMA if schema is None else checked_schema(schema)
        return PostgresLocation(url=url, schema=named)
    location = url if isinstance(url, SqliteLocation) else SqliteLocation.parse(url)
    if schema is not None:
        raise InvalidUrlError(location.shown, "is not of PostgreSQL, which alone has schemas")
    return location


def checked_schema(schema: object) -> str:
    """Return the name of a schema, if a schema can have it.

    Raises:
        InvalidSchemaError: if not.
    """
    if not isinstance(schema, str):
        raise InvalidSchemaError(schema, "Schema name must be text")
    if not schema:
        raise InvalidSchemaError(schema, "Schema name cannot be empty")
    if not re.fullmatch(r"[A-Za-z0-9_]+", schema, re.ASCII):
        raise InvalidSchemaError(
            schema, "Schema name must contain only alphanumeric characters and underscores"
        )
    if not _SCHEMA.fullmatch(schema):
        raise InvalidSchemaError(
            schema, "Schema name must not begin with a digit, nor be longer than 63 characters"
        )
    if schema.lower().startswith("pg_") or schema.lower() == "information_schema":
        raise InvalidSchemaError(schema, "Schema name must not be one that PostgreSQL reserves")
    return schema
