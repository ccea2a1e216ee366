"""``cloacina-ctl config``: show the settings of runners, and where each is from."""

from collections.abc import Iterator

import click

from cloacina.ctl.database import database_option, schema_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.runner.config import SETTINGS
from cloacina.runner.setting import SettingValue
from cloacina.runner.sources import Configuration
from cloacina.store.url import PostgresLocation


@click.group()
def config() -> None:
    """Show the settings and where each is from."""


@config.command()
@database_option
@json_option
@pass_settings
def show(settings: Settings, *, database: str | None, is_json: bool) -> None:
    """Show every setting, its value, where that is from, and what to know about it.

    Where several say something, the last of these counts: the defaults; the file that --config
    names, or config.toml in --home; the environment, as CLOACINA_ and the name in capitals, or
    DATABASE_URL; what is given by --set, --database and --schema.
    """
    found = settings.configuration(database, schema_of())
    rows = [_database(found), _schema(found), *_settings(found)]
    if is_json:
        write_json(
            [dict(zip(("name", "value", "source", "note"), row, strict=True)) for row in rows]
        )
        return
    shown = [(name, _text(value), escaped(source), note) for name, value, source, note in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    for row in shown:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))
        click.echo("  ".join((*cells, row[3])).rstrip())


_Row = tuple[str, SettingValue | str, str, str]


def _database(found: Configuration) -> _Row:
    return "database", found.location.shown, found.sources["database"], ""


def _schema(found: Configuration) -> _Row:
    location = found.location
    schema = location.schema if isinstance(location, PostgresLocation) else None
    return "schema", schema, found.sources["schema"], "PostgreSQL only"


def _settings(found: Configuration) -> Iterator[_Row]:
    values = found.config.to_dict()
    for name, setting in SETTINGS.items():
        value = values[name]
        notes = [setting.note] if setting.note else []
        if value is None:
            notes.insert(0, setting.none)
        yield name, value, found.sources[name], "; ".join(notes)


def _text(value: SettingValue | str) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else escaped(str(value))
