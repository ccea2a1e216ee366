"""``cloacina-ctl tenant``: make, list and remove tenants of a PostgreSQL database.

A password is written to a new file for its owner alone, or shown once where that is asked for; it
is in no log and in no other output.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloacina.ctl.escaping import escaped
from cloacina.ctl.exit_codes import USAGE
from cloacina.ctl.failure import Failure
from cloacina.ctl.output import write_json
from cloacina.ctl.settings import Settings, pass_settings
from cloacina.store.tenant import TenantConfig, TenantCredentials
from cloacina.store.url import PostgresLocation

if TYPE_CHECKING:
    from cloacina.store.tenant_admin import DatabaseAdmin

_database_option = click.option(
    "--database",
    metavar="URL",
    help="A PostgreSQL database, as a role that may make roles.  [default: what is configured]",
)


@click.group()
def tenant() -> None:
    """Give tenants of a PostgreSQL database schemas and roles of their own."""


@tenant.command()
@click.argument("schema")
@click.option("--username", metavar="NAME", help="Of the role.  [default: the schema's name]")
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path),
    help="A new file, for you alone, that --config takes: the URL with the password, and the "
    "schema.",
)
@click.option("--show-password", "is_shown", is_flag=True, help="Write the password to stdout.")
@_database_option
@pass_settings
def create(
    settings: Settings,
    *,
    schema: str,
    username: str | None,
    file: Path | None,
    is_shown: bool,
    database: str | None,
) -> None:
    """Make the SCHEMA of a new tenant, and a role that may touch nothing else.

    The password is generated; say by --output or --show-password where it is to go.
    """
    if (file is None) is not is_shown:
        raise click.UsageError("say where the password is to go: --output FILE or --show-password")
    config = TenantConfig(schema, schema if username is None else username)
    admin = _admin(settings, database)
    if file is None:
        made = admin.create_tenant(config)
    else:
        with _new_private_file(file) as descriptor:
            made = admin.create_tenant(config)
            os.write(descriptor, _settings_of(made).encode())
            os.fsync(descriptor)
    click.echo(f"made the tenant {schema} with the role {config.username}", err=True)
    if file is None:
        click.echo(made.password)
    else:
        click.echo("Next, run something as this tenant:", err=True)
        click.echo(f"  cloacina-ctl --config {file} run FILE", err=True)


@tenant.command("list")
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
@_database_option
@pass_settings
def list_tenants(settings: Settings, *, is_json: bool, database: str | None) -> None:
    """List the schemas that were made for tenants, or that have tables of cloacina."""
    found = _admin(settings, database).list_tenants()
    if is_json:
        write_json([asdict(each) for each in found])
        return
    width = max((len(each.schema_name) for each in found), default=0)
    for each in found:
        role = "its own role" if each.has_own_role else "owned by"
        tables = "no tables yet" if each.revision is None else f"revision {each.revision}"
        click.echo(f"{escaped(each.schema_name):{width}}  {role} {escaped(each.owner)}  {tables}")
    if not found:
        click.echo("no tenants", err=True)


@tenant.command()
@click.argument("schema")
@click.option("--username", metavar="NAME", help="Of the role.  [default: the schema's name]")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@_database_option
@pass_settings
def remove(
    settings: Settings, *, schema: str, username: str | None, is_sure: bool, database: str | None
) -> None:
    """Remove a tenant's role, its SCHEMA and all that is in it; end its connections."""
    admin = _admin(settings, database)
    role = schema if username is None else username
    if not is_sure:
        click.confirm(
            f"Remove the schema {escaped(schema)} with all executions in it, and the role "
            f"{escaped(role)}?",
            abort=True,
            err=True,
        )
    admin.remove_tenant(schema, role)
    click.echo(f"removed the tenant {schema} and the role {role}", err=True)


def _admin(settings: Settings, database: str | None) -> "DatabaseAdmin":
    from cloacina.store.drivers import require_psycopg  # noqa: PLC0415 - help needs no driver

    location = settings.location(database)
    if not isinstance(location, PostgresLocation):
        raise Failure(
            f"the database {location.shown} is not of PostgreSQL, which alone has tenants",
            steps=[
                "Name one by --database postgresql://USER@HOST/DATABASE.",
                "On SQLite, give each tenant a file of its own.",
            ],
            exit_code=USAGE,
        )
    require_psycopg()
    from cloacina.store.tenant_admin import DatabaseAdmin  # noqa: PLC0415

    return DatabaseAdmin(location.url)


@contextmanager
def _new_private_file(path: Path) -> Iterator[int]:
    """Make a file for its owner alone; it is removed again if the block fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(
            f"the file {path} exists already and is not written over",
            steps=["Choose another name; nothing was made."],
            exit_code=USAGE,
        ) from None
    try:
        yield descriptor
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _settings_of(made: TenantCredentials) -> str:
    """Return a file of settings; what JSON quotes, TOML reads alike."""
    return f"database = {json.dumps(made.connection_string)}\nschema = {json.dumps(made.schema_name)}\n"
