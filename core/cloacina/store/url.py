"""Where a database is: the forms of URL that are accepted, and what each means.

``sqlite:///abs/path.db`` is absolute and ``sqlite://./rel.db`` relative, because the scheme is
stripped literally; a bare path and ``pathlib.Path`` are paths; ``:memory:`` is private to one
runner. The only query key is ``mode`` (``rwc`` creates the file, ``rw`` and ``ro`` do not).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from cloacina.errors import InvalidUrlError

Mode = Literal["rwc", "rw", "ro"]
_MODES: dict[str, Mode] = {"rwc": "rwc", "rw": "rw", "ro": "ro"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteLocation:
    """A SQLite database: a file, or a private one that ends with its runner (``path`` is None)."""

    path: Path | None
    mode: Mode = "rwc"

    @classmethod
    def parse(cls, url: str | Path) -> "SqliteLocation":
        """Read a URL or path.

        Raises:
            InvalidUrlError: for another scheme, an unknown query key or mode, or an empty path.
        """
        if isinstance(url, Path):
            return cls(path=url)
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
