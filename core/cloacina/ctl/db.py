"""``cloacina-ctl db``: look after the database."""

from dataclasses import asdict

import click

from cloacina.ctl.database import database_option, location_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.ownership.roll_call import DatabaseStatus, call_the_roll
from cloacina.store.migrating import migrate as migrate_database
from cloacina.store.url import Location, PostgresLocation

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@database_option
@json_option
@pass_settings
def migrate(settings: Settings, *, database: str | None, is_json: bool) -> None:
    """Make the tables, or bring them up to date, in one transaction.

    A runner does so by itself when it opens a database. Where its role may not, or where nothing
    is to change before everybody is ready, this does it beforehand.
    """
    location = location_of(settings, database)
    done = migrate_database(location)
    if is_json:
        write_json({"from": done.before, "to": done.after})
    elif done.before == done.after:
        click.echo(f"{_shown(location)} is at revision {done.after} already")
    else:
        before = "nothing" if done.before is None else f"revision {done.before}"
        click.echo(f"migrated {_shown(location)} from {before} to revision {done.after}")


@db.command()
@database_option
@json_option
@pass_settings
def status(settings: Settings, *, database: str | None, is_json: bool) -> None:
    """Show revision and size, how many executions stand where, and which runners there are."""
    location = location_of(settings, database)
    found = call_the_roll(location)
    if is_json:
        write_json({"database": _shown(location), **asdict(found)})
        return
    click.echo(f"database    {_shown(location)}")
    click.echo(f"revision    {_revision(found)}")
    click.echo(f"size        {_size(found.size_bytes)}")
    if found.revision != found.head:
        return
    counts = (f"{count} {status}" for status, count in found.executions.items())
    click.echo(f"executions  {', '.join(counts) or 'none'}")
    alive = sum(runner.is_alive for runner in found.runners)
    click.echo(f"runners     {alive} alive" + _dead(len(found.runners) - alive))
    for runner in found.runners:
        where = f"process {runner.process_id} on {escaped(runner.host)}"
        state = "alive" if runner.is_alive else "gone"
        click.echo(f"  {runner.id}  {state:5}  {where}  since {runner.started_at}")


def _shown(location: Location) -> str:
    if isinstance(location, PostgresLocation):
        return f"{location.shown} schema {location.schema}"
    return location.shown


def _revision(found: DatabaseStatus) -> str:
    if found.revision is None:
        return "none: there are no tables yet; 'cloacina-ctl db migrate' makes them"
    if found.revision == found.head:
        return f"{found.revision} (the newest)"
    if found.is_newer:
        return f"{escaped(found.revision)}, newer than this version knows ({found.head})"
    return f"{found.revision}; 'cloacina-ctl db migrate' brings it to {found.head}"


def _size(size_bytes: int) -> str:
    size, units = float(size_bytes), list(_UNITS)
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}"


def _dead(count: int) -> str:
    return f", {count} gone: the next runner takes over what they had" if count else ""
