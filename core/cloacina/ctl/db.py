"""``cloacina-ctl db``: look after the database."""

import time
from dataclasses import asdict

import click

from cloacina.ctl.database import database_option, location_of, schema_of
from cloacina.ctl.escaping import escaped
from cloacina.ctl.execution.options import json_option
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.ownership.roll_call import DatabaseStatus, call_the_roll
from cloacina.store.migrating import migrate as migrate_database
from cloacina.store.migrating import open_for_writing
from cloacina.store.retention import prune as prune_database
from cloacina.store.timestamps import to_text as shown_at
from cloacina.store.url import Location, PostgresLocation
from cloacina.store.viewer import Viewer
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import InvalidDurationError

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
@click.option(
    "--older-than",
    "age",
    metavar="AGE",
    help="Such as 30d, 12h or 90m, since their end.  [default: retention_seconds, if it is set]",
)
@click.option("--dry-run", "is_trial", is_flag=True, help="Only say how many there are.")
@database_option
@json_option
@pass_settings
def prune(
    settings: Settings, *, age: str | None, is_trial: bool, database: str | None, is_json: bool
) -> None:
    """Remove executions that ended long ago, with all that belongs to them, bit by bit.

    Safe beside runners. What has not ended stays, however old it is. What was removed before an
    interruption stays removed.
    """
    configuration = settings.configuration(database, schema_of())
    age_us = _age_us(age, configuration.config.retention_seconds)
    before_us = max(0, time.time_ns() // 1000 - age_us)
    with Viewer(configuration.location) as viewer:  # nothing is made, and nothing upgraded
        count = viewer.count_ended_before(before_us)
    if not is_trial:
        opened = open_for_writing(configuration.location)
        try:
            count = prune_database(opened, before_us)
        finally:
            opened.close()
    if is_json:
        write_json({"dry_run": is_trial, "executions": count, "ended_before": shown_at(before_us)})
        return
    done = "would be removed" if is_trial else "removed"
    noun = "execution" if count == 1 else "executions"
    click.echo(f"{count} {noun} {done} that ended before {shown_at(before_us)}")


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


def _age_us(age: str | None, retention_s: float | None) -> int:
    if age is not None:
        try:
            return to_milliseconds(age) * 1000
        except InvalidDurationError as error:
            raise click.BadParameter(str(error), param_hint="--older-than") from error
    if retention_s is None:
        raise click.UsageError("say how old, such as --older-than 30d")
    return int(retention_s * 1_000_000)


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
