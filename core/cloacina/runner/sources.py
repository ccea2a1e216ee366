"""Settings from where people write them: defaults < a TOML file < the environment < flags.

* The file has the settings by their names, and ``database`` and ``schema``; a key that is not among
  them is an error, for a setting that is misspelt would silently not count.
* In the environment a setting is ``CLOACINA_`` and its name in capitals. A variable that begins so
  and means nothing is warned about, for others may have put it there. ``DATABASE_URL`` serves where
  no source names a database. What is empty counts as not set.
* Values are never part of a warning or of an error about the database: a URL may hold a password.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from cloacina.errors import (
    ConfigFileError,
    InvalidConfigError,
    InvalidUrlError,
    UnknownSettingError,
)
from cloacina.runner.config import SETTINGS, DefaultRunnerConfig, setting_named
from cloacina.runner.setting import SettingValue
from cloacina.store.url import Location, PostgresLocation, parse_location

PREFIX: Final = "CLOACINA_"
DEFAULT: Final = "default"
_FALLBACK: Final = "DATABASE_URL"
_PLACES: Final = ("database", "schema")
_OTHER_VARIABLES: Final = ("CLOACINA_CONFIG", "CLOACINA_HOME", "CLOACINA_PASSPHRASE_FILE")
_OTHER_PREFIXES: Final = ("CLOACINA_VAR_", "CLOACINA_TEST_", "CLOACINA_WORKER_")


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it was written."""

    value: object
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look.

    Attributes:
        file: a TOML file; ``None`` for no file.
        environment: the variables of the process.
        flags: settings by name, as text, by which flag each was given.
        database: the URL or path of last resort.
    """

    file: Path | None
    environment: Mapping[str, str]
    flags: Mapping[str, Given]
    database: str | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the sources come to together.

    Attributes:
        config: the settings of a runner.
        location: the database and schema.
        sources: by setting, and for ``database`` and ``schema``: where the value is from.
        warnings: sentences about what may have been meant and does not count.
    """

    config: DefaultRunnerConfig
    location: Location
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def read_configuration(sources: Sources) -> Configuration:
    """Read every source and check what they come to.

    Raises:
        ConfigFileError: if the file cannot be read, or is not TOML.
        UnknownSettingError: if the file or a flag names what is no setting.
        InvalidConfigError: for a value that is not allowed, naming where it is from.
        InvalidUrlError: if the database's URL cannot be used.
        InvalidSchemaError: if no schema can have the name that is given.
    """
    layers = [
        dict(_from_file(sources.file)),
        dict(_from_environment(sources.environment)),
        dict(_from_flags(sources.flags)),
    ]
    chosen: dict[str, Given] = {}
    for layer in layers:
        chosen |= layer
    fallback = sources.environment.get(_FALLBACK)
    if "database" not in chosen:
        last = Given(fallback, _FALLBACK) if fallback else Given(sources.database, DEFAULT)
        chosen["database"] = last
    config = DefaultRunnerConfig()
    for name in SETTINGS:
        if name in chosen:
            setattr(config, name, chosen[name].value)
    _check_together(config, chosen)
    return Configuration(
        config=config,
        location=_location(chosen, layers),
        sources={
            name: chosen[name].source if name in chosen else DEFAULT
            for name in (*_PLACES, *SETTINGS)
        },
        warnings=tuple(_warnings(sources.environment)),
    )


def _from_file(path: Path | None) -> Iterator[tuple[str, Given]]:
    if path is None:
        return
    for name, value in _parsed(path).items():
        source = f"{name} in {path}"
        if name in _PLACES:
            if not isinstance(value, str) or not value:
                raise InvalidConfigError(source, value, "a text that is not empty")
        else:
            try:
                setting_named(name, _PLACES).check(source, value)
            except UnknownSettingError as error:
                raise UnknownSettingError(source, error.near) from None
        yield name, Given(value, str(path))


def _parsed(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigFileError(path, f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFileError(path, f"is not TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    for name in (*_PLACES, *SETTINGS):
        variable = variable_of(name)
        text = environment.get(variable)
        if text:
            value = text if name in _PLACES else SETTINGS[name].read(variable, text)
            yield name, Given(value, variable)


def _from_flags(flags: Mapping[str, Given]) -> Iterator[tuple[str, Given]]:
    for name, given in flags.items():
        value: SettingValue | str = str(given.value)
        if name not in _PLACES:
            setting = setting_named(name, _PLACES)
            value = setting.read(f"{given.source}'s {name}", str(given.value))
        yield name, Given(value, given.source)


def _check_together(config: DefaultRunnerConfig, chosen: Mapping[str, Given]) -> None:
    try:
        config.check()
    except InvalidConfigError as error:
        given = chosen.get(error.field)
        if given is None:
            raise
        where = f"{error.field} from {given.source}"
        raise InvalidConfigError(where, error.value, error.allowed) from error


def _location(chosen: Mapping[str, Given], layers: list[dict[str, Given]]) -> Location:
    database, schema = chosen["database"], chosen.get("schema")
    url = database.value if isinstance(database.value, Path) else str(database.value)
    try:
        location = parse_location(url)
    except InvalidUrlError as error:
        raise InvalidUrlError(str(url), f"(from {database.source}) {error.problem}") from error
    has_schemas = isinstance(location, PostgresLocation)
    if schema is None or not (has_schemas or _goes_with(layers)):
        return location  # a later source named a database of its own, which has no schemas
    return parse_location(location, str(schema.value))


def _goes_with(layers: list[dict[str, Given]]) -> bool:
    """Whether the schema was named by the source that named the database, or by a later one."""

    def rank(name: str) -> int:
        return max((rank for rank, layer in enumerate(layers) if name in layer), default=-1)

    return rank("schema") >= rank("database")


def _warnings(environment: Mapping[str, str]) -> Iterator[str]:
    known = {variable_of(name) for name in (*_PLACES, *SETTINGS)}.union(_OTHER_VARIABLES)
    for variable in sorted(environment):
        is_ours = variable.startswith(PREFIX) and not variable.startswith(_OTHER_PREFIXES)
        if is_ours and variable not in known:
            ends = sorted(each.removeprefix(PREFIX) for each in known)
            near = get_close_matches(variable.removeprefix(PREFIX), ends, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            yield f"the environment variable {variable} means nothing here{hint}"


def variable_of(name: str) -> str:
    """Return the environment variable that a setting may be given in."""
    return f"{PREFIX}{name.upper()}"
